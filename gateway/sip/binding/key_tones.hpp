/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keys of a telephone that are sent as tones in the audio (ITU-T Q.23), told from speech (Q.24).
 */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gateway {

#ifndef SWIG
/* Listens to one stream of 8000 samples a second. Not safe for several threads. */
class KeyTones {
public:
    /* The keys that have been released by now, or are held for a second, in their order; each is told once. */
    std::string hear(const std::int16_t *samples, std::size_t count);

private:
    static constexpr std::size_t STEP = 51; /* samples: 6.4 ms */
    static constexpr std::size_t WINDOW = 2 * STEP;

    void look(std::string &keys);
    void end(std::string &keys);

    std::array<float, WINDOW> window_{}; /* the newest samples */
    std::size_t filled_ = WINDOW - STEP;
    char key_ = 0; /* that is down */
    char likely_ = 0;
    unsigned seen_ = 0; /* looks that have found it */
    unsigned missed_ = 0; /* ... that have not, since it was found */
    bool told_ = false;
};
#endif

/* The keys in a recording, of 8000 samples a second and 16 bits. */
std::string keys_in(const std::vector<long> &samples);

}
