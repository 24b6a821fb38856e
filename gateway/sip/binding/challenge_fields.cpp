/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "challenge_fields.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "fields.hpp"

namespace gateway {

namespace {

const size_t MOST = 16;
const std::string_view TOKEN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~";

struct Parameter {
    std::string_view name;
    std::string_view value; /* as it came, with its quotes if it has any */
};

struct Scheme {
    std::string_view name;
    std::vector<Parameter> parameters;
};

/* What is left of a text behind its first token. */
std::string_view behind_token(std::string_view text)
{
    return text.substr(std::min(text.find_first_not_of(TOKEN), text.size()));
}

/* `name=value`, also with blanks around the equals sign; an empty name: it is none. */
Parameter parameter(std::string_view text)
{
    const std::string_view rest = behind_token(text), value = trimmed(rest);
    if (value.empty() || value.front() != '=')
        return {};
    return {text.substr(0, text.size() - rest.size()), trimmed(value.substr(1))};
}

/* A field's challenges (RFC 9110 §11.2): each is a scheme with blanks behind it, and not with an equals sign. */
std::vector<Scheme> schemes_of(std::string_view value)
{
    std::vector<Scheme> found;
    for (std::string_view part : split(value, ',')) {
        Parameter one = parameter(part);
        if (one.name.empty()) {
            const std::string_view rest = part.front() == '"' ? part.substr(std::min(part.find('"', 1), part.size() - 1) + 1)
                                                              : behind_token(part);
            std::string_view name = part.substr(0, part.size() - rest.size());
            if (name.size() > 1 && name.front() == '"')
                name = name.substr(1, name.size() - 2);
            found.push_back({name, {}});
            one = parameter(trimmed(rest));
        }
        if (!found.empty() && !one.name.empty())
            found.back().parameters.push_back(one);
    }
    return found;
}

/* A value as it stands between quotes; empty where it is none that could stand there. */
std::string_view between_quotes(std::string_view value)
{
    if (value.empty() || value.front() != '"')
        return value.find_first_of("\"\\ \t\r\n") == std::string_view::npos ? value : std::string_view();
    for (size_t at = 1; at < value.size(); ++at) {
        if (value[at] == '\\')
            ++at;
        else if (value[at] == '"')
            return at + 1 == value.size() ? value.substr(1, at - 1) : std::string_view();
    }
    return {};
}

/* A challenge in the one spelling that PJSIP surely reads; empty: it lacks what an answer is made of. */
std::string digest(const Scheme &challenge)
{
    static const std::array<std::string_view, 7> known = {"realm", "domain", "nonce", "opaque", "stale", "algorithm", "qop"};
    std::array<std::string_view, known.size()> values{};
    for (const Parameter &one : challenge.parameters)
        for (size_t i = 0; i < known.size(); ++i)
            if (values[i].empty() && same(one.name, known[i]))
                values[i] = between_quotes(one.value);
    if (values[0].empty() || values[2].empty())
        return "";
    std::string text = "Digest ";
    for (size_t i = 0; i < known.size(); ++i)
        if (!values[i].empty())
            text += std::string(i ? ", " : "") + std::string(known[i]) + "=\"" + std::string(values[i]) + '"';
    std::replace(text.begin(), text.end(), '\r', ' '); // a value may be folded
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

}

std::optional<std::string> readable_challenges(std::string_view response)
{
    std::string made;
    size_t copied = 0, count = 0;
    for (const Field &field : fields_of(response)) {
        if (!same(field.name, "WWW-Authenticate") && !same(field.name, "Proxy-Authenticate"))
            continue;
        const size_t begin = static_cast<size_t>(field.line.data() - response.data());
        made += response.substr(copied, begin - copied);
        copied = begin + field.line.size();
        for (const Scheme &challenge : schemes_of(field.value)) {
            const std::string text = same(challenge.name, "Digest") ? digest(challenge) : "";
            if (++count > MOST)
                return std::nullopt;
            if (!text.empty())
                made += std::string(field.name) + ": " + text + "\r\n";
        }
    }
    made += response.substr(copied);
    if (made == response)
        return std::nullopt;
    return made;
}

}
