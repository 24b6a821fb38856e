// SPDX-License-Identifier: GPL-2.0-or-later
//
// The voice platform and the second party of many transfers, in one process that knows when each message of a transfer came.
//
//   transfer_ends PLATFORM SECOND REFER-TO HOLD_MS    the platform at PLATFORM:5060, the second party at SECOND:5070
//
// The platform answers each call and, HOLD_MS after the ACK, sends a REFER with this Refer-To; with HOLD_MS -1 it sends none
// and stays until it is hung up. It hangs up 40 ms after a final NOTIFY, unless the other side has. The second party says
// "rings CALL-ID" when it begins to, and answers once "picked-up CALL-ID" comes on standard input, after 20 ms at least: the
// PBX tells who has picked up before it answers. No time has in it how long it rang. A caller is told by the user of their
// From: whose REFER an INVITE to the second party belongs to. SIPp is not used for the platform: it aborts a call in which a
// second NOTIFY comes while it answers the first. Says "ready", and at SIGTERM what it has counted, as JSON; times are in
// microseconds after the REFER was sent, as the kernel stamped what came.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <queue>
#include <unordered_map>
#include <vector>

#include "sip_end.hpp"

using namespace sip_end;

namespace {

constexpr Nanoseconds BYE_AFTER = 40 * MILLISECOND;
constexpr Nanoseconds RINGS_FOR = 20 * MILLISECOND;
volatile sig_atomic_t stopped = 0;

struct Leg {
  bool of_platform = false;
  string user, own, far, target, tag, accepted_with;
  sockaddr_in peer{};
  bool acknowledged = false, referred = false, answered = false, told = false, over = false, bye_sent = false;
  int repeats = 0;
  Nanoseconds refer_at = 0, answers_from = 0;
};

// A REFER whose NOTIFY with 200 has not come.
struct Asked {
  Nanoseconds at = 0, rings_since = 0, rang_for = 0;
};

struct Counts {
  long called = 0, referred = 0, accepted = 0, refused = 0, completed = 0, failed = 0, reached = 0, repeated = 0;
};

enum class Due { Answer, Ok, Refer, Bye };
struct Timer {
  Nanoseconds at;
  Due what;
  string call_id;
  bool operator>(const Timer &other) const { return at > other.at; }
};

class Ends {
public:
  Ends(const string &platform, const string &second, const string &refer_to, int hold_ms)
      : platform_host_(platform), second_host_(second), refer_to_(refer_to), hold_ms_(hold_ms), platform_(platform, 5060),
        second_(second, 5070), platform_rtp_(platform, 6000, 4096), second_rtp_(second, 6000, 4096) {}

  void run() {
    printf("ready\n");
    fflush(stdout);
    pollfd waiting[] = {{platform_.descriptor, POLLIN, 0}, {second_.descriptor, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    while (!stopped) {
      Nanoseconds next = timers_.empty() ? 200 * MILLISECOND : timers_.top().at - now();
      int wait_ms = next <= 0 ? 0 : std::min<int>(200, (next + MILLISECOND - 1) / MILLISECOND);
      if (poll(waiting, 3, wait_ms) < 0 && errno != EINTR) return perror("poll");
      if (waiting[2].revents && !take_words()) waiting[2].fd = -1; // nobody is there who could say more
      take_all(platform_, true);
      take_all(second_, false);
      while (!timers_.empty() && timers_.top().at <= now()) {
        Timer due = timers_.top();
        timers_.pop();
        auto found = legs_.find(due.call_id);
        if (found != legs_.end()) carry_out(due.what, due.call_id, found->second);
      }
    }
  }

  void tell() const {
    printf("{\"called\": %ld, \"referred\": %ld, \"accepted\": %ld, \"refused\": %ld, \"completed\": %ld, \"failed\": %ld, "
           "\"reached\": %ld, \"repeated\": %ld, \"codes\": \"%.200s\", ",
           counts_.called, counts_.referred, counts_.accepted, counts_.refused, counts_.completed, counts_.failed,
           counts_.reached, counts_.repeated, codes_.c_str());
    list("to_202_us", to_202_);
    printf(", ");
    list("to_invite_us", to_invite_);
    printf(", ");
    list("to_final_us", to_final_);
    printf("}\n");
  }

private:
  static void list(const char *name, const std::vector<double> &values) {
    printf("\"%s\": [", name);
    for (size_t i = 0; i < values.size(); i++) printf("%s%.1f", i ? ", " : "", values[i]);
    printf("]");
  }

  void take_all(const Socket &socket, bool of_platform) {
    string_view text;
    sockaddr_in from;
    Nanoseconds at;
    while (socket.receive(text, from, at))
      if (text.size() > 20) take(Message(text), from, at, of_platform);
  }

  // What is said on standard input; whether there may be more.
  bool take_words() {
    char part[65536];
    ssize_t length = read(STDIN_FILENO, part, sizeof part);
    if (length <= 0) return length < 0 && (errno == EAGAIN || errno == EINTR);
    words_.append(part, length);
    for (size_t end; (end = words_.find('\n')) != string::npos; words_.erase(0, end + 1))
      if (string line = words_.substr(0, end); line.compare(0, 10, "picked-up ") == 0) picked_up(line.substr(10));
    return true;
  }

  void picked_up(const string &call_id) {
    auto found = legs_.find(call_id);
    if (found != legs_.end()) timers_.push({std::max(now(), found->second.answers_from), Due::Answer, call_id});
  }

  void take(const Message &message, const sockaddr_in &from, Nanoseconds at, bool of_platform) {
    string call_id(message.call_id());
    auto found = legs_.find(call_id);
    Leg *leg = found == legs_.end() ? nullptr : &found->second;
    const Socket &socket = of_platform ? platform_ : second_;
    if (int code = message.code()) {
      if (leg && code >= 200) answered(*leg, call_id, message, code, at);
      return;
    }
    if (message.is("ACK")) {
      if (leg) acknowledged(*leg, call_id);
      return;
    }
    if (message.is("INVITE")) return invited(message, call_id, from, at, of_platform);
    string to(message.to());
    socket.send(from, answer(message, leg ? "200 OK" : "481 Call/Transaction Does Not Exist", to));
    if (!leg) return;
    if (message.is("NOTIFY")) notified(*leg, call_id, message, at);
    // Who is hung up before the final NOTIFY still waits for it: the order of the two is the other side's choice.
    if (message.is("BYE")) leg->over = leg->told || !leg->referred;
  }

  void invited(const Message &message, const string &call_id, const sockaddr_in &from, Nanoseconds at, bool of_platform) {
    auto [found, is_new] = legs_.try_emplace(call_id);
    Leg &leg = found->second;
    const Socket &socket = of_platform ? platform_ : second_;
    const string &host = of_platform ? platform_host_ : second_host_;
    string contact = "sip:end@" + host + (of_platform ? ":5060" : ":5070");
    if (is_new) {
      leg.of_platform = of_platform;
      leg.user = user_of(message.from());
      leg.tag = std::to_string(getpid()) + "T" + std::to_string(legs_.size());
      leg.far = string(message.from());
      leg.own = string(message.to()) + ";tag=" + leg.tag;
      leg.target = uri_of(message.header("Contact", "m"));
      leg.peer = from;
      (of_platform ? counts_.called : counts_.reached)++;
      if (!of_platform) {
        if (auto asked = refers_.find(leg.user); asked != refers_.end() && !asked->second.rings_since) {
          to_invite_.push_back((at - asked->second.at) / 1e3);
          asked->second.rings_since = at;
        }
        printf("rings %s\n", call_id.c_str());
        fflush(stdout);
      }
    } else if (string(message.to()).find("tag=") == string::npos) {
      counts_.repeated++;
    }
    // Also to a re-INVITE: with the same description.
    bool in_dialog = string(message.to()).find("tag=") != string::npos;
    string to = in_dialog ? string(message.to()) : leg.own;
    string accepted = answer(message, "200 OK", to, contact, description(host, 6000));
    if (in_dialog) {
      socket.send(from, accepted);
      return;
    }
    socket.send(from, answer(message, "180 Ringing", to, contact));
    if (!is_new) return;
    leg.accepted_with = accepted;
    leg.answers_from = now() + RINGS_FOR;
    if (of_platform) timers_.push({now(), Due::Answer, call_id});
  }

  void acknowledged(Leg &leg, const string &call_id) {
    if (leg.acknowledged) return;
    leg.acknowledged = true;
    leg.repeats = 0;
    leg.accepted_with.clear();
    if (leg.of_platform && hold_ms_ >= 0) timers_.push({now() + hold_ms_ * MILLISECOND, Due::Refer, call_id});
  }

  void answered(Leg &leg, const string &call_id, const Message &message, int code, Nanoseconds at) {
    string_view sequence = message.header("CSeq");
    if (sequence.find("BYE") != string_view::npos) leg.over = true;
    if (sequence.find("REFER") == string_view::npos || leg.answered) return;
    leg.answered = true;
    leg.repeats = 0;
    if (code == 202) {
      counts_.accepted++;
      to_202_.push_back((at - leg.refer_at) / 1e3);
    } else {
      counts_.refused++;
      failed_with(code);
      timers_.push({now(), Due::Bye, call_id});
    }
  }

  void notified(Leg &leg, const string &call_id, const Message &message, Nanoseconds at) {
    string_view body = message.body();
    int code = body.substr(0, 8) == "SIP/2.0 " ? atoi(string(body.substr(8, 3)).c_str()) : 0;
    if (code < 200 || leg.told) return;
    leg.told = true;
    if (code == 200) {
      counts_.completed++;
      // One may tell of success while the second party still rings: Asterisk does, with the first sound that it sends.
      Asked &asked = refers_[leg.user];
      Nanoseconds rang_for = asked.rings_since && !asked.rang_for ? at - asked.rings_since : asked.rang_for;
      to_final_.push_back((at - asked.at - rang_for) / 1e3);
    } else {
      counts_.failed++;
      failed_with(code);
    }
    refers_.erase(leg.user);
    timers_.push({now() + BYE_AFTER, Due::Bye, call_id});
  }

  void failed_with(int code) { codes_ += std::to_string(code) + " "; }

  void carry_out(Due what, const string &call_id, Leg &leg) {
    if (leg.over || leg.repeats > REPEATS) return;
    const Socket &socket = leg.of_platform ? platform_ : second_;
    switch (what) {
    case Due::Answer:
      socket.send(leg.peer, leg.accepted_with);
      if (auto asked = refers_.find(leg.user); !leg.of_platform && asked != refers_.end())
        asked->second.rang_for = now() - asked->second.rings_since;
      timers_.push({now() + patience(leg.repeats++), Due::Ok, call_id});
      return;
    case Due::Ok:
      if (leg.acknowledged) return;
      counts_.repeated++;
      socket.send(leg.peer, leg.accepted_with);
      break;
    case Due::Refer:
      if (leg.answered) return;
      if (leg.referred) {
        counts_.repeated++;
      } else {
        leg.referred = true;
        counts_.referred++;
        refers_[leg.user] = {leg.refer_at = now()};
      }
      socket.send(leg.peer, request(leg, call_id, "REFER", 1, "Refer-To: " + refer_to_ + "\r\n"));
      break;
    case Due::Bye:
      counts_.repeated += leg.bye_sent;
      leg.bye_sent = true;
      socket.send(leg.peer, request(leg, call_id, "BYE", 2, ""));
      break;
    }
    timers_.push({now() + patience(leg.repeats++), what, call_id});
  }

  string request(const Leg &leg, const string &call_id, const string &method, int sequence, const string &more) const {
    const string &host = leg.of_platform ? platform_host_ : second_host_;
    string here = host + (leg.of_platform ? ":5060" : ":5070");
    return method + " " + leg.target + " SIP/2.0\r\nVia: SIP/2.0/UDP " + here + ";branch=z9hG4bK" + method + leg.tag +
           "\r\nMax-Forwards: 70\r\nFrom: " + leg.own + "\r\nTo: " + leg.far + "\r\nCall-ID: " + call_id + "\r\nCSeq: " +
           std::to_string(sequence) + " " + method + "\r\nContact: <sip:end@" + here + ">\r\n" + more + with_body("");
  }

  const string platform_host_, second_host_, refer_to_;
  const int hold_ms_;
  // What the other side sends as RTP is taken by a socket that nobody reads: as by a phone, and at no cost.
  const Socket platform_, second_, platform_rtp_, second_rtp_;
  std::unordered_map<string, Leg> legs_;
  std::unordered_map<string, Asked> refers_; // by the caller's number, until the final NOTIFY
  std::priority_queue<Timer, std::vector<Timer>, std::greater<Timer>> timers_;
  Counts counts_;
  std::vector<double> to_202_, to_invite_, to_final_;
  string codes_, words_;
};

} // namespace

int main(int count, char **arguments) {
  if (count != 5) return fprintf(stderr, "transfer_ends PLATFORM SECOND REFER-TO HOLD_MS\n"), 2;
  struct sigaction ending {};
  ending.sa_handler = [](int) { stopped = 1; };
  sigaction(SIGTERM, &ending, nullptr); // without SA_RESTART: poll() ends
  before_others();
  Ends ends(arguments[1], arguments[2], arguments[3], atoi(arguments[4]));
  ends.run();
  ends.tell();
  return 0;
}
