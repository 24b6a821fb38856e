/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kept_messages.hpp"

#include <algorithm>

#include "secrets.hpp"

namespace gateway {

namespace {

/* Of one message. */
const size_t MOST_BYTES = 6000;
/* Of one Call-ID: its first messages stay, and of the rest the last ones, so that no peer has more than this by one call. */
const size_t FIRST = 100, FIRST_BYTES = 96 * 1024, LAST = 300, LAST_BYTES = 160 * 1024;
/* A message that is sent again comes within so many others, as a rule. */
const size_t LOOKED_BACK = 64;
const size_t MOST_PEERS = 16;
/* What a message takes beside its text. */
const size_t OVERHEAD = 256;

/* The message of the same bytes that has gone the same way a short while ago, or null. */
const KeptMessage *same_before(const KeptDialog &dialog, const KeptMessage &message)
{
    size_t looked = 0;
    for (const std::deque<KeptMessage> *part : {&dialog.last, &dialog.first})
        for (auto each = part->rbegin(); each != part->rend() && looked < LOOKED_BACK; ++each, ++looked)
            if (each->mark == message.mark && each->size == message.size && each->sent == message.sent)
                return &*each;
    return nullptr;
}

bool any_names(const std::deque<KeptMessage> &messages, const std::vector<std::string> &texts)
{
    for (const KeptMessage &message : messages)
        for (const std::string &text : texts)
            if (message.text->find(text) != std::string::npos)
                return true;
    return false;
}

void add(std::vector<const KeptMessage *> &all, const KeptDialog &dialog)
{
    for (const std::deque<KeptMessage> *part : {&dialog.first, &dialog.last})
        for (const KeptMessage &message : *part)
            all.push_back(&message);
}

}

size_t KeptMessage::bytes() const
{
    return OVERHEAD + (again ? 0 : text->size());
}

bool KeptDialog::has_peer(const Address &peer) const
{
    return std::find(peers.begin(), peers.end(), peer) != peers.end();
}

void KeptDialog::add_peer(const Address &peer)
{
    if (!has_peer(peer) && peers.size() < MOST_PEERS)
        peers.push_back(peer);
}

bool KeptDialog::names(const std::vector<std::string> &texts) const
{
    return any_names(first, texts) || any_names(last, texts);
}

void KeptMessages::set_room(size_t bytes, size_t dialogs)
{
    most_bytes_ = dialogs ? bytes : 0;
    most_dialogs_ = bytes ? dialogs : 0;
    make_room();
}

KeptDialog *KeptMessages::find(std::string_view id)
{
    const auto found = dialogs_.find(id);
    return found == dialogs_.end() ? nullptr : &found->second;
}

KeptDialog &KeptMessages::begin(std::string_view id, bool late)
{
    if (KeptDialog *known = find(id))
        return *known;
    const auto made = dialogs_.emplace(std::string(id), KeptDialog()).first;
    made->second.late = late;
    made->second.touched = by_time_.insert(by_time_.end(), made->first);
    return made->second;
}

void KeptMessages::erase(std::string_view id)
{
    if (const auto found = dialogs_.find(id); found != dialogs_.end())
        erase(found);
}

void KeptMessages::erase(Dialogs::iterator found)
{
    bytes_ -= found->second.bytes();
    by_time_.erase(found->second.touched);
    dialogs_.erase(found);
}

void KeptMessages::clear()
{
    dialogs_.clear();
    by_time_.clear();
    bytes_ = 0;
    gone_ = 0;
}

void KeptMessages::make_room()
{
    while (!by_time_.empty() && (bytes_ > most_bytes_ || dialogs_.size() > most_dialogs_)) {
        erase(dialogs_.find(by_time_.front()));
        ++gone_;
    }
}

void KeptMessages::put(KeptDialog &dialog, KeptMessage message, std::string_view bytes, KeptMessage *kept)
{
    message.size = bytes.size();
    message.mark = std::hash<std::string_view>()(bytes);
    if (const KeptMessage *before = same_before(dialog, message)) {
        message.again = true;
        message.cut = before->cut;
        message.text = before->text;
    } else {
        std::string text = without_secrets(std::string(bytes));
        message.cut = text.size() > MOST_BYTES;
        text.resize(std::min(text.size(), MOST_BYTES));
        message.text = std::make_shared<const std::string>(std::move(text));
    }
    const size_t size = message.bytes();
    bytes_ += size;
    if (kept)
        *kept = message;
    if (dialog.last.empty() && dialog.first.size() < FIRST && dialog.first_bytes + size <= FIRST_BYTES) {
        dialog.first.push_back(std::move(message));
        dialog.first_bytes += size;
    } else {
        dialog.last.push_back(std::move(message));
        dialog.last_bytes += size;
    }
    while (dialog.last.size() > LAST || dialog.last_bytes > LAST_BYTES) {
        const size_t less = dialog.last.front().bytes();
        dialog.last_bytes -= less;
        bytes_ -= less;
        dialog.last.pop_front();
        ++dialog.left_out;
    }
    by_time_.splice(by_time_.end(), by_time_, dialog.touched);
    make_room();
}

std::vector<const KeptMessage *> KeptMessages::told(const KeptDialog &dialog, size_t &left_out) const
{
    std::vector<const KeptMessage *> all;
    add(all, dialog);
    left_out = dialog.left_out;
    for (const std::string &id : dialog.beside)
        if (const auto other = dialogs_.find(id); other != dialogs_.end()) {
            add(all, other->second);
            left_out += other->second.left_out;
        }
    std::stable_sort(all.begin(), all.end(),
                     [](const KeptMessage *one, const KeptMessage *other) { return one->at_us < other->at_us; });
    return all;
}

std::vector<std::string> KeptMessages::naming(const std::vector<std::string> &texts) const
{
    std::vector<std::string> found;
    for (const auto &[id, dialog] : dialogs_)
        if (dialog.names(texts))
            found.push_back(id);
    return found;
}

std::vector<long> KeptMessages::counts() const
{
    size_t messages = 0;
    for (const auto &each : dialogs_)
        messages += each.second.first.size() + each.second.last.size();
    return {static_cast<long>(bytes_), static_cast<long>(dialogs_.size()), static_cast<long>(messages), gone_};
}

}
