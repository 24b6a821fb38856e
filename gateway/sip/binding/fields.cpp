/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fields.hpp"

#include <algorithm>

namespace gateway {

namespace {

const std::string_view BLANKS = " \t\r\n";

char lower(char one)
{
    return one >= 'A' && one <= 'Z' ? static_cast<char>(one + ('a' - 'A')) : one;
}

/* The place behind the line end at or after `from`; a CR, an LF and both together end a line for PJSIP. */
size_t behind_line(std::string_view text, size_t from)
{
    const size_t end = text.find_first_of("\r\n", from);
    if (end == std::string_view::npos)
        return text.size();
    return end + (text.substr(end, 2) == "\r\n" ? 2 : 1);
}

}

std::string_view trimmed(std::string_view text)
{
    const size_t first = text.find_first_not_of(BLANKS);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(BLANKS) - first + 1);
}

bool same(std::string_view one, std::string_view other)
{
    return one.size() == other.size() && std::equal(one.begin(), one.end(), other.begin(),
                                                    [](char left, char right) { return lower(left) == lower(right); });
}

std::vector<Field> fields_of(std::string_view message)
{
    std::vector<Field> found;
    size_t at = behind_line(message, std::min(message.find_first_not_of("\r\n"), message.size()));
    while (at < message.size() && message[at] != '\r' && message[at] != '\n') {
        size_t end = behind_line(message, at);
        while (end < message.size() && (message[end] == ' ' || message[end] == '\t'))
            end = behind_line(message, end);
        const std::string_view line = message.substr(at, end - at);
        const size_t colon = line.find(':');
        if (colon != std::string_view::npos)
            found.push_back({trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1)), line});
        at = end;
    }
    return found;
}

std::vector<std::string_view> split(std::string_view text, char separator)
{
    std::vector<std::string_view> parts;
    bool quoted = false;
    size_t begin = 0;
    for (size_t at = 0; at <= text.size(); ++at) {
        if (at < text.size() && (text[at] != separator || quoted)) {
            if (text[at] == '\\' && quoted)
                ++at;
            else if (text[at] == '"')
                quoted = !quoted;
            continue;
        }
        const std::string_view part = trimmed(text.substr(begin, std::min(at, text.size()) - begin));
        if (!part.empty())
            parts.push_back(part);
        begin = at + 1;
    }
    return parts;
}

std::string_view parameter_of(std::string_view value, std::string_view name)
{
    for (const std::string_view part : split(value, ';')) {
        const size_t equals = part.find('=');
        if (equals == std::string_view::npos || !same(trimmed(part.substr(0, equals)), name))
            continue;
        std::string_view given = trimmed(part.substr(equals + 1));
        if (given.size() > 1 && given.front() == '"' && given.back() == '"')
            given = given.substr(1, given.size() - 2);
        return given;
    }
    return {};
}

}
