// Asking for the token, where something needs it.

import { signIn } from "./api.js";
import { el } from "./dom.js";

/** `live.token_set` false: which key to set. */
export function unset() {
  return el("section", { class: "card narrow" },
    el("h2", {}, "History needs a token"),
    el("p", {}, "No token is configured, so nobody can read the history here. Write one into ",
      "katabridge.yaml and have the daemon read it (systemctl reload, or SIGHUP):"),
    el("pre", {}, "status:\n  token: …"),
    el("p", { class: "soft" }, "16 to 200 signs of ASCII without spaces, such as ",
      el("code", {}, "openssl rand -hex 20"), " prints."));
}

/** The form; `then()` once a token is given. `complaint`: what was wrong with the last one. */
export function form(then, complaint = "") {
  const input = el("input", {
    type: "password", id: "token", name: "token", autocomplete: "off", required: true,
    spellcheck: "false", "aria-invalid": complaint ? "true" : null,
    "aria-describedby": complaint ? "token-wrong token-note" : "token-note",
  });
  const submit = (event) => {
    event.preventDefault();
    if (!input.value.trim()) return;
    signIn(input.value.trim());
    then();
  };
  const node = el("form", { class: "card narrow token", on: { submit } },
    el("h2", {}, "Token"),
    el("p", {}, "The history names people. Who reads it, or changes something, shows the token."),
    complaint ? el("p", { class: "bad", id: "token-wrong" }, complaint) : null,
    el("label", { for: "token" }, "Token"),
    el("div", { class: "together" },
      input, el("button", { type: "submit", class: "main" }, "Go on")),
    el("p", { class: "soft", id: "token-note" }, "It is ", el("code", {}, "status.token"),
      " in katabridge.yaml. This tab keeps it until it is closed or you sign out."));
  return { node, focus: () => input.focus() };
}
