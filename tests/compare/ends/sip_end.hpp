// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the ends of the comparison need of SIP over UDP: messages are read, answers written, and each datagram comes with the
// time at which the kernel took it, so that how long an end itself waits for a processor is in no figure.
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include <string>
#include <string_view>

namespace sip_end {

using std::string;
using std::string_view;
using Nanoseconds = int64_t;

constexpr Nanoseconds MILLISECOND = 1000000;
constexpr Nanoseconds T1 = 500 * MILLISECOND; // RFC 3261 §17.1.1.1
constexpr Nanoseconds T2 = 4000 * MILLISECOND;
constexpr int REPEATS = 10; // until 64 × T1 are over

// The clock of SO_TIMESTAMPNS.
inline Nanoseconds now() {
  timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  return at.tv_sec * INT64_C(1000000000) + at.tv_nsec;
}

// What measures is not to wait for a processor while there is one: where it may, it runs before whom it measures.
inline void before_others() { setpriority(PRIO_PROCESS, 0, -10); }

// How long to wait for an answer to what was sent `repeats` times before (RFC 3261 §17.1.2.2).
inline Nanoseconds patience(int repeats) { return repeats > 3 ? T2 : T1 << repeats; }

// A message as it came; it keeps no copy of the text.
class Message {
public:
  explicit Message(string_view text) : text_(text) {
    size_t end = text.find("\r\n\r\n");
    head_ = text.substr(0, end);
    body_ = end == string_view::npos ? string_view() : text.substr(end + 4);
  }

  bool is(string_view method) const {
    return text_.substr(0, method.size()) == method && text_.substr(method.size(), 1) == " ";
  }

  // 0 for a request.
  int code() const { return text_.substr(0, 8) == "SIP/2.0 " ? atoi(string(text_.substr(8, 3)).c_str()) : 0; }

  string_view body() const { return body_; }

  // The first header of this name, empty if there is none.
  string_view header(string_view name, string_view compact = {}) const {
    string_view found;
    each(name, compact, [&](string_view value) {
      if (found.empty()) found = value;
    });
    return found;
  }

  // All headers of this name, as lines.
  string headers(const char *name, string_view compact = {}) const {
    string lines;
    each(name, compact, [&](string_view value) { lines += string(name) + ": " + string(value) + "\r\n"; });
    return lines;
  }

  string_view call_id() const { return header("Call-ID", "i"); }
  string_view from() const { return header("From", "f"); }
  string_view to() const { return header("To", "t"); }

private:
  template <typename Take> void each(string_view name, string_view compact, Take take) const {
    size_t at = head_.find("\r\n");
    while (at != string_view::npos) {
      size_t begin = at + 2, colon = head_.find(':', begin);
      at = head_.find("\r\n", begin);
      if (colon == string_view::npos || colon > at) continue;
      string_view found = head_.substr(begin, colon - begin);
      while (!found.empty() && found.back() == ' ') found.remove_suffix(1);
      if (!same(found, name) && !(compact.size() && same(found, compact))) continue;
      size_t value = colon + 1;
      while (value < head_.size() && head_[value] == ' ') value++;
      take(head_.substr(value, at == string_view::npos ? at : at - value));
    }
  }

  static bool same(string_view one, string_view other) {
    return one.size() == other.size() && strncasecmp(one.data(), other.data(), one.size()) == 0;
  }

  string_view text_, head_, body_;
};

// The URI of a From, To or Contact.
inline string uri_of(string_view header) {
  size_t begin = header.find('<');
  if (begin == string_view::npos) return string(header.substr(0, header.find(';')));
  return string(header.substr(begin + 1, header.find('>', begin) - begin - 1));
}

inline string user_of(string_view header) {
  string uri = uri_of(header);
  size_t colon = uri.find(':'), at = uri.find('@');
  return colon == string::npos || at == string::npos ? string() : uri.substr(colon + 1, at - colon - 1);
}

// An offer or answer of one codec, by its payload type and its name.
inline string description(const string &host, int port, const string &type = "8", const string &codec = "PCMA") {
  return "v=0\r\no=- 1 1 IN IP4 " + host + "\r\ns=-\r\nc=IN IP4 " + host + "\r\nt=0 0\r\nm=audio " + std::to_string(port) +
         " RTP/AVP " + type + "\r\na=rtpmap:" + type + " " + codec + "/8000\r\na=ptime:20\r\n";
}

inline string with_body(const string &sdp) {
  return (sdp.empty() ? "" : "Content-Type: application/sdp\r\n") + ("Content-Length: " + std::to_string(sdp.size())) +
         "\r\n\r\n" + sdp;
}

// An answer to a request; `to` is its To with the tag.
inline string answer(const Message &request, const string &line, const string &to, const string &contact = "",
                     const string &sdp = "") {
  return "SIP/2.0 " + line + "\r\n" + request.headers("Via", "v") + request.headers("Record-Route") + "From: " +
         string(request.from()) + "\r\nTo: " + to + "\r\nCall-ID: " + string(request.call_id()) + "\r\nCSeq: " +
         string(request.header("CSeq")) + "\r\n" + (contact.empty() ? "" : "Contact: <" + contact + ">\r\n") + with_body(sdp);
}

inline sockaddr_in address(const string &host, int port) {
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &made.sin_addr) != 1) {
    fprintf(stderr, "no address: %s\n", host.c_str());
    exit(2);
  }
  return made;
}

class Socket {
public:
  Socket(const string &host, int port, int buffer = 8 << 20) : descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    int on = 1;
    sockaddr_in own = address(host, port);
    // Beyond net.core.rmem_max where we may: what is lost here would be counted against whom we measure.
    if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer))
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    setsockopt(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (bind(descriptor, (sockaddr *)&own, sizeof own)) {
      perror(("bind " + host + ":" + std::to_string(port)).c_str());
      exit(2);
    }
  }

  bool send(const sockaddr_in &to, string_view data) const {
    return sendto(descriptor, data.data(), data.size(), 0, (const sockaddr *)&to, sizeof to) == (ssize_t)data.size();
  }

  // The next datagram, if there is one: its text (until the next call), whom it is from, and when the kernel took it.
  bool receive(string_view &text, sockaddr_in &from, Nanoseconds &at) const {
    static char buffer[65536];
    char control[128];
    iovec part{buffer, sizeof buffer};
    msghdr header{};
    header.msg_name = &from;
    header.msg_namelen = sizeof from;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ssize_t length = recvmsg(descriptor, &header, 0);
    if (length < 0) return false;
    at = 0;
    for (cmsghdr *one = CMSG_FIRSTHDR(&header); one; one = CMSG_NXTHDR(&header, one))
      if (one->cmsg_level == SOL_SOCKET && one->cmsg_type == SCM_TIMESTAMPNS) {
        timespec stamp;
        memcpy(&stamp, CMSG_DATA(one), sizeof stamp);
        at = stamp.tv_sec * INT64_C(1000000000) + stamp.tv_nsec;
      }
    if (!at) at = now();
    text = string_view(buffer, length);
    return true;
  }

  const int descriptor;
};

} // namespace sip_end
