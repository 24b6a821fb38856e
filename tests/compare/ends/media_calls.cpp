// SPDX-License-Identifier: GPL-2.0-or-later
//
// Many calls at a time with G.711 both ways, or in silence: the callers of the PBX's side and the voice platform that they reach.
//
//   media_calls HOST CALLERS PLATFORM NUMBER CALLS SECONDS RAMP sound|silence [ulaw]
//
// CALLS calls go from CALLERS:5071 to NUMBER at HOST:5060, RAMP a second, and come to PLATFORM:5060; who is refused with 503 calls
// again a second later. When all of them are up and it has read a line it measures for SECONDS, tells what it saw as JSON, and hangs up. Each end sends a packet every 20 ms, the
// calls evenly spread over these; twice a second one holds a tone where the others hold silence. The delay of the sound is from
// when that packet was sent until the kernel took the packet in which the tone begins, plus where in it that is: so it is found
// behind one who passes packets on and behind one who mixes, and how long this program waits for a processor is not in it. All speak
// A-law; with `ulaw` the platform speaks µ-law and nothing else.
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <vector>

#include "sip_end.hpp"

using namespace sip_end;

namespace {

constexpr int FIRST_RTP = 20000, SAMPLES = 160, HEADER = 12, EVERY = 25;
constexpr Nanoseconds FRAME = 20 * MILLISECOND, SAMPLE = 125000;
constexpr int SHARES = 20; // of the calls, one each millisecond
constexpr int LOUD = 4000; // of 32,124; a resampler rings below this before the tone begins
constexpr Nanoseconds GIVE_UP = 30000 * MILLISECOND, AGAIN = 1000 * MILLISECOND;

int linear(unsigned char alaw) { // G.711 §3, without the sign
  alaw ^= 0x55;
  int exponent = (alaw & 0x70) >> 4, mantissa = ((alaw & 0x0f) << 4) + 8;
  return exponent ? (mantissa + 0x100) << (exponent - 1) : mantissa;
}

int ulaw_linear(unsigned char ulaw) { // the same of µ-law
  ulaw = ~ulaw;
  return ((((ulaw & 0x0f) << 3) + 0x84) << ((ulaw & 0x70) >> 4)) - 0x84;
}

struct Law {
  int payload_type;
  const char *name;
  unsigned char quiet, loud; // the least positive level, and one as loud as it goes; the latter without its sign
  int (*linear)(unsigned char);
};

const Law ALAW{8, "PCMA", 0xd5, 0x2a, linear}, ULAW{0, "PCMU", 0xff, 0x00, ulaw_linear};

// One end's media: what it sends, and what it hears of the other.
struct Side {
  std::unique_ptr<Socket> socket;
  sockaddr_in to{};
  bool talks = false;
  uint16_t sequence = 0;
  uint32_t timestamp = 0, source = 0;
  Nanoseconds toned_at = 0; // when the tone was sent that the other end waits for
  long sent = 0, received = 0;
};

struct Call {
  Side caller, platform;
  string to, target; // the caller's dialog
  int attempt = 0;
  bool accepted = false, up = false, over = false;
  Nanoseconds again_at = 0; // after a 503; 0: nothing is to be sent
};

class MediaCalls {
public:
  MediaCalls(char **arguments)
      : host_(arguments[1]), callers_host_(arguments[2]), platform_host_(arguments[3]), number_(arguments[4]),
        calls_(atoi(arguments[5])), seconds_(atof(arguments[6])), ramp_(atof(arguments[7])),
        sound_(string(arguments[8]) == "sound"), platforms_(arguments[9] ? ULAW : ALAW), callers_(callers_host_, 5071), platform_(platform_host_, 5060),
        gateway_(address(host_, 5060)), poll_(epoll_create1(0)), id_(std::to_string(getpid())) {
    watch(callers_, -1);
    watch(platform_, -2);
    for (size_t i = 0; i < calls_.size(); i++) {
      open(calls_[i].caller, callers_host_, i, 1 + i);
      open(calls_[i].platform, platform_host_, i, 1000001 + i);
    }
    for (bool platform : {false, true}) {
      const Law &law = law_of(platform);
      memset(quiet_[platform] + HEADER, law.quiet, SAMPLES);
      for (int i = 0; i < SAMPLES; i++) loud_[platform][HEADER + i] = (i / 4) % 2 ? law.loud : law.loud | 0x80; // 1 kHz
    }
  }

  int run() {
    Nanoseconds begun = now();
    while (up_ < calls_.size()) {
      size_t due = std::min(calls_.size(), (size_t)(1 + (now() - begun) * ramp_ / 1e9));
      while (asked_ < due) invite(asked_++);
      for (size_t i = 0; i < asked_; i++)
        if (calls_[i].again_at && calls_[i].again_at <= now()) invite(i);
      turn();
      if (failed_ || now() - begun > GIVE_UP + (Nanoseconds)(calls_.size() / ramp_ * 1e9)) {
        fprintf(stderr, "%zu of %zu calls are up; the last answer was %d\n", up_, calls_.size(), failed_);
        return 1;
      }
    }
    printf("up\n");
    fflush(stdout);
    pollfd told{0, POLLIN, 0};
    while (poll(&told, 1, 0) == 0) turn();
    measure();
    tell();
    hang_up();
    return 0;
  }

private:
  void open(Side &side, const string &host, size_t index, uint32_t source) {
    side.socket = std::make_unique<Socket>(host, FIRST_RTP + 2 * index, 1 << 18);
    side.source = source;
    watch(*side.socket, index * 2 + (&side == &calls_[index].platform));
  }

  void watch(const Socket &socket, int64_t what) {
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    wanted.data.u64 = what;
    epoll_ctl(poll_, EPOLL_CTL_ADD, socket.descriptor, &wanted);
  }

  // Sends what is due, takes what has come, and waits a millisecond: to be woken by each packet would take more of the processor
  // than the packets do, and when they came the kernel knows.
  void turn() {
    if (!next_) next_ = now();
    while (sound_ && next_ <= now()) {
      late_ = std::max(late_, now() - next_);
      long frame = share_ / SHARES;
      for (size_t i = share_ % SHARES; i < calls_.size(); i += SHARES) {
        bool has_tone = (frame + i) % EVERY == 0;
        send(calls_[i].caller, false, has_tone);
        send(calls_[i].platform, true, has_tone);
      }
      share_++;
      next_ += FRAME / SHARES;
    }
    epoll_event ready[256];
    int count;
    do {
      count = epoll_wait(poll_, ready, 256, 0);
      for (int i = 0; i < count; i++) {
        int64_t what = ready[i].data.u64;
        if (what < 0)
          take_sip(what == -1);
        else
          take_sound(calls_[what / 2], what % 2);
      }
    } while (count == 256);
    Nanoseconds left = sound_ ? next_ - now() : MILLISECOND;
    timespec pause{0, (long)std::min(left, MILLISECOND)};
    if (left > 0) nanosleep(&pause, nullptr);
  }

  const Law &law_of(bool platform) const { return platform ? platforms_ : ALAW; }

  void send(Side &side, bool platform, bool has_tone) {
    if (!side.talks) return;
    unsigned char *packet = has_tone ? loud_[platform] : quiet_[platform];
    uint16_t sequence = htons(side.sequence++);
    uint32_t timestamp = htonl(side.timestamp), source = htonl(side.source);
    side.timestamp += SAMPLES;
    packet[0] = 0x80;
    packet[1] = law_of(platform).payload_type;
    memcpy(packet + 2, &sequence, 2);
    memcpy(packet + 4, &timestamp, 4);
    memcpy(packet + 8, &source, 4);
    if (has_tone) side.toned_at = now();
    side.sent++;
    side.socket->send(side.to, string_view((char *)packet, HEADER + SAMPLES));
  }

  void take_sound(Call &call, bool at_platform) {
    Side &here = at_platform ? call.platform : call.caller, &there = at_platform ? call.caller : call.platform;
    string_view packet;
    sockaddr_in from;
    Nanoseconds at;
    // One at a time: there is seldom another, and epoll tells of it.
    if (!here.socket->receive(packet, from, at)) return;
    here.received++;
    if (!there.toned_at || at < there.toned_at) return;
    for (size_t i = HEADER; i < packet.size(); i++)
      if (law_of(at_platform).linear(packet[i]) > LOUD) {
        delays_[at_platform].push_back((at - there.toned_at + (Nanoseconds)(i - HEADER) * SAMPLE) / 1e6);
        there.toned_at = 0;
        return;
      }
  }

  void invite(size_t index) {
    Call &call = calls_[index];
    call.to = "<sip:" + number_ + "@" + host_ + ">";
    call.target = "sip:" + number_ + "@" + host_ + ":5060";
    call.attempt++;
    call.again_at = 0;
    callers_.send(gateway_, request(index, "INVITE", 1, description(callers_host_, FIRST_RTP + 2 * index)));
  }

  string request(size_t index, const string &method, int sequence, const string &sdp = "") {
    const Call &call = calls_[index];
    string number = std::to_string(call.attempt) + "-" + std::to_string(index);
    string from = "sip:" + user(index) + "@" + callers_host_ + ":5071";
    // What acknowledges a refusal belongs to the INVITE's transaction (RFC 3261 §17.1.1.3).
    string branch = number + (method == "ACK" && !call.accepted ? "INVITE" : method);
    return method + " " + call.target + " SIP/2.0\r\nVia: SIP/2.0/UDP " + callers_host_ + ":5071;branch=z9hG4bK" + id_ + "m" +
           branch + "\r\nMax-Forwards: 70\r\nFrom: <" + from + ">;tag=" + id_ + "c" + number + "\r\nTo: " + call.to +
           "\r\nCall-ID: " + id_ + "-" + number + "\r\nCSeq: " + std::to_string(sequence) + " " + method + "\r\nContact: <" +
           from + ">\r\n" + with_body(sdp);
  }

  // By it the platform knows which of the calls has come.
  static string user(size_t index) {
    string digits = std::to_string(index);
    return "+3163" + string(7 - digits.size(), '0') + digits;
  }

  void take_sip(bool of_callers) {
    const Socket &socket = of_callers ? callers_ : platform_;
    string_view text;
    sockaddr_in from;
    Nanoseconds at;
    while (socket.receive(text, from, at)) {
      if (text.size() < 20) continue;
      Message message(text);
      if (message.code())
        answered(message);
      else if (message.is("INVITE") && !of_callers)
        came(message, from);
      else if (!message.is("ACK"))
        socket.send(from, answer(message, "200 OK", string(message.to())));
    }
  }

  void answered(const Message &message) {
    string_view id = message.call_id();
    size_t dash = id.rfind('-'), index = dash == string_view::npos ? calls_.size() : atoi(string(id.substr(dash + 1)).c_str());
    if (index >= calls_.size() || message.code() < 200) return;
    Call &call = calls_[index];
    if (message.header("CSeq").find("INVITE") == string_view::npos) {
      over_ += !call.over;
      call.over = true;
      return;
    }
    if (message.call_id().find(id_ + "-" + std::to_string(call.attempt) + "-") != 0) return; // an earlier one, again
    call.to = string(message.to());
    if (message.code() >= 300) {
      callers_.send(gateway_, request(index, "ACK", 1));
      if (message.code() != 503)
        failed_ = message.code();
      else if (!call.again_at) {
        call.again_at = now() + AGAIN;
        refused_++;
      }
      return;
    }
    call.target = uri_of(message.header("Contact", "m"));
    call.accepted = true;
    callers_.send(gateway_, request(index, "ACK", 1));
    if (call.up) return;
    call.up = true;
    up_++;
    talk(call.caller, message);
  }

  void came(const Message &message, const sockaddr_in &from) {
    string user = user_of(message.from());
    size_t index = user.size() == 12 ? atoi(user.c_str() + 5) : calls_.size();
    if (index >= calls_.size()) return (void)platform_.send(from, answer(message, "404 Not Found", string(message.to())));
    bool in_dialog = message.to().find("tag=") != string_view::npos;
    string to = string(message.to()) + (in_dialog ? "" : ";tag=" + id_ + "p" + std::to_string(index));
    string contact = "sip:platform@" + platform_host_ + ":5060";
    talk(calls_[index].platform, message);
    platform_.send(from, answer(message, "200 OK", to, contact, platforms_description(index)));
  }

  string platforms_description(size_t index) const {
    string number = std::to_string(platforms_.payload_type);
    return description(platform_host_, FIRST_RTP + 2 * index, number, platforms_.name);
  }

  void talk(Side &side, const Message &message) {
    string body(message.body());
    size_t media = body.find("m=audio ");
    if (media == string::npos) return;
    side.to = address(host_, atoi(body.c_str() + media + 8));
    side.talks = true;
  }

  void measure() {
    for (Call &call : calls_)
      for (Side *side : {&call.caller, &call.platform}) side->sent = side->received = side->toned_at = 0;
    delays_[0].clear();
    delays_[1].clear();
    late_ = 0;
    clock_t used = clock();
    Nanoseconds end = now() + (Nanoseconds)(seconds_ * 1e9);
    while (now() < end) turn();
    cpu_s_ = (double)(clock() - used) / CLOCKS_PER_SEC;
  }

  void tell() {
    long sent = 0, received = 0;
    for (const Call &call : calls_)
      for (const Side *side : {&call.caller, &call.platform}) {
        sent += side->sent;
        received += side->received;
      }
    printf("{\"refused\": %d, \"sent\": %ld, \"received\": %ld, \"late_ms\": %.2f, \"cpu_s\": %.3f, \"delays_ms\": [", refused_,
           sent, received, late_ / 1e6, cpu_s_);
    const char *between = "";
    for (const auto &delays : delays_)
      for (double delay : delays) {
        printf("%s%.3f", between, delay);
        between = ", ";
      }
    printf("]}\n");
    fflush(stdout);
  }

  void hang_up() {
    Nanoseconds begun = now();
    sound_ = false;
    for (size_t ended = 0; over_ < calls_.size() && now() - begun < GIVE_UP; turn()) {
      size_t due = std::min(calls_.size(), (size_t)(1 + (now() - begun) * 4 * ramp_ / 1e9));
      while (ended < due) callers_.send(gateway_, request(ended++, "BYE", 2));
    }
    // The platform's BYEs are still to be answered.
    Nanoseconds last = now() + 1000 * MILLISECOND;
    while (now() < last) turn();
  }

  const string host_, callers_host_, platform_host_, number_;
  std::vector<Call> calls_;
  const double seconds_, ramp_;
  bool sound_;
  const Law &platforms_;
  const Socket callers_, platform_;
  const sockaddr_in gateway_;
  const int poll_;
  const string id_;
  unsigned char quiet_[2][HEADER + SAMPLES], loud_[2][HEADER + SAMPLES]; // of callers, and of the platform
  size_t asked_ = 0, up_ = 0, over_ = 0;
  long share_ = 0;
  int failed_ = 0, refused_ = 0;
  Nanoseconds next_ = 0, late_ = 0;
  double cpu_s_ = 0;
  std::vector<double> delays_[2];
};

} // namespace

int main(int count, char **arguments) {
  if (count != 9 && count != 10)
    return fprintf(stderr, "media_calls HOST CALLERS PLATFORM NUMBER CALLS SECONDS RAMP sound|silence [ulaw]\n"), 2;
  rlimit files{20000, 20000};
  setrlimit(RLIMIT_NOFILE, &files);
  before_others();
  return MediaCalls(arguments).run();
}
