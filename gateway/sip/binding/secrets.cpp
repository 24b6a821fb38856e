/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "secrets.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <string_view>

namespace gateway {

namespace {

using Text = std::string_view;

const Text REDACTED = "[redacted]", BLANKS = " \t";

bool same_letter(char one, char other)
{
    return std::tolower(static_cast<unsigned char>(one)) == std::tolower(static_cast<unsigned char>(other));
}

bool begins_with(Text text, Text beginning)
{
    return text.size() >= beginning.size() &&
           std::equal(beginning.begin(), beginning.end(), text.begin(), same_letter);
}

bool same(Text one, Text other)
{
    return one.size() == other.size() && begins_with(one, other);
}

size_t find(Text text, Text wanted, size_t from = 0)
{
    const auto found = std::search(text.begin() + static_cast<ptrdiff_t>(std::min(from, text.size())), text.end(),
                                   wanted.begin(), wanted.end(), same_letter);
    return found == text.end() ? Text::npos : static_cast<size_t>(found - text.begin());
}

Text trimmed(Text text)
{
    const Text around = " \t\r\n";
    const size_t first = text.find_first_not_of(around);
    return first == Text::npos ? Text() : text.substr(first, text.find_last_not_of(around) - first + 1);
}

/* To the next comma that is not quoted. */
Text parameter_in(Text value)
{
    bool quoted = false;
    for (size_t at = 0; at < value.size(); ++at)
        if (value[at] == '\\' && quoted)
            ++at;
        else if (value[at] == '"')
            quoted = !quoted;
        else if (value[at] == ',' && !quoted)
            return value.substr(0, at);
    return value;
}

/* What says nothing of the password (RFC 7616 §3.4). Whatever else is there may be its proof, under whichever name. */
bool is_harmless(Text name)
{
    for (const Text known : {"username", "realm", "nonce", "uri", "algorithm", "opaque", "qop", "nc", "nextnonce"})
        if (same(name, known))
            return true;
    return false;
}

void put_parameters(std::string &made, Text value)
{
    for (bool first = true; !value.empty(); first = false) {
        const Text whole = parameter_in(value), parameter = trimmed(whole);
        value.remove_prefix(std::min(value.size(), whole.size() + 1));
        const size_t equals = parameter.find('=');
        const Text name = trimmed(parameter.substr(0, equals));
        made.append(first ? " " : ", ");
        if (equals != Text::npos && is_harmless(name))
            made.append(parameter);
        else if (same(name, "response") || same(name, "cnonce") || same(name, "rspauth"))
            made.append(name).append("=").append(REDACTED);
        else
            made.append(REDACTED);
    }
}

/* The value of a header with credentials: of a digest what can be looked at, of any other scheme its name. */
void put_credentials(std::string &made, Text value, bool scheme)
{
    value = trimmed(value);
    if (scheme) {
        const Text name = value.substr(0, value.find_first_of(" \t\r\n"));
        const bool digest = same(name, "Digest");
        made.append(" ").append(digest ? name : Text("")).append(digest ? "" : REDACTED);
        if (!digest)
            return;
        value.remove_prefix(name.size());
    }
    put_parameters(made, value);
}

bool ends_uri(char one)
{
    return one == '<' || one == '>' || one == '"' || one == ' ' || one == '\t';
}

/* Where the password of the URI begins whose '@' stands at `at` (RFC 3261 §25.1, userinfo); npos: it has none. */
size_t password_before(Text line, size_t at)
{
    size_t begin = at;
    while (begin > 0 && !ends_uri(line[begin - 1]) && line[begin - 1] != '@')
        --begin;
    const Text part = line.substr(begin, at - begin);
    size_t user = find(part, "sips:") == Text::npos ? find(part, "sip:") : find(part, "sips:") + 1;
    if (user == Text::npos)
        return Text::npos;
    user += 4;
    const size_t colon = part.find(':', user);
    return colon == Text::npos ? Text::npos : begin + colon + 1;
}

/* Credentials among the headers of a URI, as in a Refer-To: to the end of the header. Few lines have a z: the others are not
 * searched. */
size_t credentials_in(Text line, size_t from, size_t &end)
{
    const Text name = "authorization=";
    if (line.find('z', from) == Text::npos && line.find('Z', from) == Text::npos)
        return Text::npos;
    const size_t found = find(line, name, from);
    if (found == Text::npos)
        return found;
    const size_t begin = found + name.size();
    end = std::min(line.find_first_of("&>\" \t", begin), line.size());
    return begin;
}

/* A line of anything but credentials. */
void put_line(std::string &made, Text line)
{
    size_t done = 0, end = 0;
    for (size_t at = line.find('@'); at != Text::npos; at = line.find('@', at + 1)) {
        const size_t password = password_before(line, at);
        if (password == Text::npos || password < done)
            continue;
        made.append(line.substr(done, password - done)).append(REDACTED);
        done = at;
    }
    for (size_t at = credentials_in(line, done, end); at != Text::npos; at = credentials_in(line, done, end)) {
        made.append(line.substr(done, at - done)).append(REDACTED);
        done = end;
    }
    made.append(line.substr(done));
}

/* RFC 4568 §4: a=crypto:<tag> <suite> inline:<key>, and what may follow that. */
void put_crypto(std::string &made, Text line)
{
    const size_t colon = line.find(':'), suite = line.find(' ', colon);
    const size_t key = suite == Text::npos ? suite : line.find(' ', suite + 1);
    made.append(line.substr(0, std::min(key, suite == Text::npos ? colon + 1 : line.size()))).append(" ").append(REDACTED);
}

struct Part {
    Text begins;
    bool crypto;
};

const std::array<Part, 4> SECRET_LINES = {{{"a=crypto:", true}, {"k=", false}, {"a=key-mgmt:", false}, {"a=ice-pwd:", false}}};

class Reader {
public:
    explicit Reader(Text message)
        : whole_(message), left_(message), return_(next('\r', 0)), feed_(next('\n', 0))
    {
    }

    std::string read()
    {
        made_.reserve(left_.size() + 64);
        put_line(made_, take_line()); // the first line is no header
        put_end();
        while (!left_.empty())
            headers_ ? put_header() : put_body_line();
        return std::move(made_);
    }

private:
    size_t next(char end, size_t from) const { return std::min(whole_.find(end, from), whole_.size()); }

    /* Where the line ends in which `from` is. Asked for places that follow one another, it looks at each once. */
    size_t end_of_line(size_t from)
    {
        if (return_ < from)
            return_ = next('\r', from);
        if (feed_ < from)
            feed_ = next('\n', from);
        return std::min(return_, feed_);
    }

    size_t place() const { return whole_.size() - left_.size(); }

    Text take_line()
    {
        const Text line = left_.substr(0, end_of_line(place()) - place());
        left_.remove_prefix(line.size());
        return line;
    }

    void put_end()
    {
        const size_t size = !left_.empty() && left_[0] == '\r' && left_.size() > 1 && left_[1] == '\n' ? 2 : !left_.empty();
        made_.append(left_.substr(0, size));
        left_.remove_prefix(size);
    }

    /* A header with the lines that continue it. */
    Text take_header()
    {
        const size_t begin = place();
        size_t end = end_of_line(begin);
        while (true) {
            const size_t following = end + (whole_.substr(std::min(end, whole_.size()), 2) == "\r\n" ? 2 : 1);
            if (following >= whole_.size() || BLANKS.find(whole_[following]) == Text::npos)
                break;
            end = end_of_line(following);
        }
        left_.remove_prefix(end - begin);
        return whole_.substr(begin, end - begin);
    }

    void put_header()
    {
        const Text header = take_header();
        if (header.empty()) {
            headers_ = false;
        } else {
            const size_t colon = std::min(header.find(':'), header.size());
            const Text name = trimmed(header.substr(0, colon)), value = header.substr(std::min(colon + 1, header.size()));
            const bool proof = same(name, "Authorization") || same(name, "Proxy-Authorization");
            if (proof || same(name, "Authentication-Info") || same(name, "Proxy-Authentication-Info")) {
                made_.append(name).append(":");
                put_credentials(made_, value, proof);
            } else {
                if (same(name, "Content-Type") || same(name, "c"))
                    keys_ = begins_with(trimmed(value), "application/dtmf");
                put_line(made_, header);
            }
        }
        put_end();
    }

    void put_body_line()
    {
        const Text line = take_line();
        const auto secret = std::find_if(SECRET_LINES.begin(), SECRET_LINES.end(),
                                         [line](const Part &part) { return begins_with(line, part.begins); });
        if (keys_ && !line.empty())
            put_key(line);
        else if (secret != SECRET_LINES.end() && secret->crypto)
            put_crypto(made_, line);
        else if (secret != SECRET_LINES.end())
            made_.append(line.substr(0, secret->begins.size())).append(REDACTED);
        else if (begins_with(line, "Authorization") || begins_with(line, "Proxy-Authorization"))
            made_.append(line.substr(0, line.find(':'))).append(": ").append(REDACTED); // a message within a message
        else
            put_line(made_, line);
        put_end();
    }

    /* "Signal= 5" and "Duration= 160", or the key alone. */
    void put_key(Text line)
    {
        if (begins_with(line, "Duration"))
            made_.append(line);
        else
            made_.append(line.substr(0, line.find('=') == Text::npos ? 0 : line.find('=') + 1)).append(REDACTED);
    }

    Text whole_, left_;
    size_t return_, feed_; /* the next ones at or after the last place that was asked for */
    std::string made_;
    bool headers_ = true, keys_ = false;
};

}

std::string without_secrets(const std::string &message)
{
    return Reader(message).read();
}

}
