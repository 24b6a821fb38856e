// SPDX-License-Identifier: GPL-2.0-or-later
// A page that is opened from a directory may start no worker. The search's then runs in a frame of that page.
(() => {
    if (location.protocol !== "file:") return;
    window.Worker = class extends EventTarget {
        constructor(url) {
            super();
            const frame = document.createElement("iframe");
            frame.hidden = true;
            frame.srcdoc = "<!doctype html>";
            this.inside = new Promise((ready) => {
                frame.onload = () => {
                    const inner = frame.contentWindow;
                    inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
                    const script = inner.document.createElement("script");
                    script.src = url;
                    script.onload = () => ready(inner);
                    inner.document.body.append(script);
                };
            });
            document.body.append(frame);
        }
        postMessage(data) {
            this.inside.then((inner) => inner.dispatchEvent(new inner.MessageEvent("message", { data })));
        }
    };
})();
