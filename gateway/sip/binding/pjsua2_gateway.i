/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What SWIG reads first: all of pjsua2, and the gateway's helpers in the same module.
 */
%module(directors="1") pjsua2

// What came from the network is not always UTF-8. SWIG gives such bytes to Python as lone surrogates, and would not take
// them back: a TypeError, left behind for whatever Python code is called next.
%runtime %{
#define PyUnicode_AsUTF8String(text) PyUnicode_AsEncodedString((text), "utf-8", "surrogateescape")
%}

// Called for every transaction of every call, and of no use to the gateway.
%feature("nodirector") pj::Call::onCallTsxState;
// media.cpp has taken its place, without writing every description out as text and reading it again.
%feature("nodirector") pj::Call::onCallSdpCreated;

%include "pjsua2.i"
%include "helpers.i"
