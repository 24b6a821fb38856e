/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who may send us what: the networks of the configured peers, by account, and where requests of ours have gone.
 */
#pragma once

#include <string>
#include <vector>

#include "networks.hpp"

struct pjsip_dialog;

namespace gateway {

const int NOBODY = -1;

/* The account whose peer has this address: the narrowest network that holds it wins. NOBODY: a stranger's. */
int account_at(const Address &source);

/* Whether a message of this dialog may come from there: an address of its peer, as configured now or when the call
 * began, or one that a request of the dialog's account has gone to. Where a dialog is nobody's, any peer will do. */
bool may_speak(const pjsip_dialog *dialog, const Address &source);

/* The same for what belongs to no dialog. */
bool may_speak(const Address &source);

bool is_ours(const Address &source, int port);

/* A request of this account, or of none, has gone there. True: nothing had before. */
bool gone_to(const Address &address, int account);

/* The account of a dialog: that of its call, or whose it was said to be. */
int account_of(const pjsip_dialog *dialog);
void belongs_to(pjsip_dialog *dialog, int account);

/* Before the first of such dialogs. */
void keep_owners();

/* Every network and address from which anything may come. */
std::vector<Network> all_networks();

/* See front.hpp. */
void set_networks(int account, const std::vector<std::string> &networks);
void set_own_addresses(const std::vector<std::string> &addresses);

}
