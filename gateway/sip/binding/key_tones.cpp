/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "key_tones.hpp"

#include <algorithm>
#include <cmath>

namespace gateway {

namespace {

constexpr double RATE = 8000;
constexpr std::size_t GROUP = 4;
const std::array<double, 2 * GROUP> HZ = {697, 770, 852, 941, 1209, 1336, 1477, 1633}; // the low group, then the high one
const char KEYS[] = "123A456B789C*0#D";

/* Windows of half an overlap: in a tone of 40 ms, which is to be understood, five see it, in one of 23 ms, which is not, at
 * most four (ITU-T Q.24, table A.1). */
const unsigned BEGINS = 4, COUNTS = 5;
/* 25 ms without it is its end; an interruption of 10 ms is not. */
const unsigned ENDS = 4;
const unsigned HELD = 156; // a second
/* The high tone may be 4 dB stronger than the low one, or 8 dB weaker, and so much more as this window sees of the one
 * at the frequency of the other: 1 and 2 dB. */
const float HIGH_STRONGER = 3.162F, HIGH_WEAKER = 10;
/* 7 dB: by so much a tone is stronger than the other three of its group. */
const float ALONE = 5;
/* The share of all energy that the two have: less in speech, whose overtones are elsewhere. A tone that is off by 1.8 %
 * loses up to a third of what this window sees of it. */
const float SHARE = 0.7F;
const float SOFTEST = 300; // the amplitude of a tone: -37 dBm0

struct Found {
    std::size_t index;
    float energy;
    bool alone;
};

std::array<float, 2 * GROUP> coefficients()
{
    std::array<float, 2 * GROUP> made{};
    std::transform(HZ.begin(), HZ.end(), made.begin(),
                   [](double hz) { return static_cast<float>(2 * std::cos(2 * M_PI * hz / RATE)); });
    return made;
}

/* The energy at one frequency (Goertzel). */
template <std::size_t size> float energy_of(const std::array<float, size> &window, float coefficient)
{
    float last = 0, before = 0;
    for (float sample : window) {
        const float now = sample + coefficient * last - before;
        before = last;
        last = now;
    }
    return last * last + before * before - coefficient * last * before;
}

Found strongest(const float *energies)
{
    const float *best = std::max_element(energies, energies + GROUP);
    const bool alone = std::all_of(energies, energies + GROUP, [best](const float &other) {
        return &other == best || *best > ALONE * other;
    });
    return {static_cast<std::size_t>(best - energies), *best, alone};
}

template <std::size_t size> char key_in(const std::array<float, size> &window)
{
    static const std::array<float, 2 * GROUP> factors = coefficients();
    const float half = static_cast<float>(size) / 2;
    const float least = SOFTEST * half * SOFTEST * half;
    float all = 0;
    for (float sample : window)
        all += sample * sample;
    if (all * half < least)
        return 0;
    std::array<float, 2 * GROUP> energies{};
    for (std::size_t i = 0; i < energies.size(); ++i)
        energies[i] = energy_of(window, factors[i]);
    const Found low = strongest(energies.data()), high = strongest(energies.data() + GROUP);
    if (std::min(low.energy, high.energy) < least || !low.alone || !high.alone)
        return 0;
    if (high.energy > HIGH_STRONGER * low.energy || high.energy * HIGH_WEAKER < low.energy)
        return 0;
    return low.energy + high.energy >= SHARE * all * half ? KEYS[GROUP * low.index + high.index] : 0;
}

}

std::string KeyTones::hear(const std::int16_t *samples, std::size_t count)
{
    std::string keys;
    for (std::size_t i = 0; i < count; ++i) {
        window_[filled_++] = samples[i];
        if (filled_ < WINDOW)
            continue;
        look(keys);
        std::copy(window_.begin() + STEP, window_.end(), window_.begin());
        filled_ = WINDOW - STEP;
    }
    return keys;
}

void KeyTones::look(std::string &keys)
{
    const char found = key_in(window_);
    if (!key_) {
        seen_ = found && found == likely_ ? seen_ + 1 : 1;
        likely_ = found;
        if (!found || seen_ < BEGINS)
            return;
        key_ = found;
        missed_ = 0;
        told_ = false;
    } else if (found == key_) {
        ++seen_;
        missed_ = 0;
    } else if (++missed_ >= ENDS) {
        end(keys);
        return;
    }
    if (seen_ >= HELD && !told_) {
        keys += key_;
        told_ = true;
    }
}

void KeyTones::end(std::string &keys)
{
    if (!told_ && seen_ >= COUNTS)
        keys += key_;
    key_ = likely_ = 0;
    seen_ = missed_ = 0;
}

std::string keys_in(const std::vector<long> &samples)
{
    std::vector<std::int16_t> audio(samples.size());
    std::transform(samples.begin(), samples.end(), audio.begin(), [](long sample) {
        return static_cast<std::int16_t>(std::clamp(sample, -32768L, 32767L));
    });
    audio.insert(audio.end(), static_cast<std::size_t>(RATE / 10), 0); // what was down is up again
    return KeyTones().hear(audio.data(), audio.size());
}

}
