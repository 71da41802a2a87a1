"use strict";
// Shortcuts, dialogs, live updates. Every page works without this file.
(() => {
  const all = (css, at = document) => [...at.querySelectorAll(css)];
  const one = (css, at = document) => at.querySelector(css);
  const make = (name, props = {}, ...inside) => {
    const made = Object.assign(document.createElement(name), props);
    made.append(...inside);
    return made;
  };
  const parse = (words) => new DOMParser().parseFromString(words, "text/html");
  const live = one("#live"), dialog = one("#dialog"), root = document.documentElement;
  const announce = (words) => {
    live.textContent = "";
    setTimeout(() => { live.textContent = words; }, 50);
  };

  // Copy buttons for ids, countdowns for times.
  const enhance = (at) => {
    for (const code of navigator.clipboard ? all("[data-copy]:not(:has(.copy))", at) : []) {
      const words = code.textContent.trim();
      const button = make("button", {
        type: "button", className: "copy", textContent: "Copy", ariaLabel: `Copy ${words}`,
      });
      button.onclick = async () => {
        await navigator.clipboard.writeText(words);
        button.textContent = "Copied";
        announce(`${words} copied`);
      };
      code.append(button);
    }
    tick();
  };
  const two = (n) => String(n).padStart(2, "0");
  const left = (s) => {
    const minutes = Math.floor(s / 60);
    if (s >= 172800) return `${Math.floor(s / 86400)} days`;
    if (s >= 3600) return `${Math.floor(s / 3600)} h ${two(minutes % 60)} min`;
    return `${minutes}:${two(s % 60)}`;
  };
  const tick = () => {
    for (const at of all("time[data-left]")) {
      const s = Math.max(0, Math.round((Date.parse(at.dateTime) - Date.now()) / 1000));
      at.textContent = s ? `${left(s)} left` : "ended";
      if (s === 120) announce("2 minutes left");
    }
  };
  if (one("time[data-left]")) setInterval(tick, 1000);

  // In a support session: leave the page as soon as it has ended.
  const banner = one("[data-pulse]");
  const poll = banner && setInterval(async () => {
    if (document.hidden) return;
    const response = await fetch(banner.dataset.pulse, { cache: "no-store" }).catch(() => null);
    if (!response || response.ok || response.status >= 500 || response.status === 429) return;
    clearInterval(poll);
    all("main, dialog").forEach((e) => e.remove());
    location.replace(location.pathname);
  }, 1000);

  // Menus close when the focus moves elsewhere.
  const closeMenus = (but) => {
    all("details.menu[open]").forEach((menu) => { menu.open = menu.contains(but); });
  };
  document.addEventListener("click", (e) => closeMenus(e.target));
  document.addEventListener("focusin", (e) => {
    closeMenus(e.target);
    const row = e.target.closest("[data-row]");
    if (!row) return;
    all("[data-row].at").forEach((r) => r.classList.remove("at"));
    row.classList.add("at");
  });

  // Shortcuts: keys click the element with that data-key; the others move within a list.
  let first = "", timer;
  const press = (keys) => {
    const targets = all("[data-key]").filter((e) => e.dataset.key === keys);
    const row = one("[data-row].at");
    const target = targets.find((e) => row?.contains(e))
      || targets.find((e) => !e.closest("[data-row]"));
    if (!target) return false;
    if (target.matches("input")) target.select(); else target.click();
    return true;
  };
  const move = (step) => {
    const rows = all("[data-row]"), at = rows.findIndex((r) => r.classList.contains("at"));
    const row = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
    if (row) one("th a, a", row)?.focus();
  };
  const openMenu = () => {
    const menu = one("[data-row].at details.menu");
    if (!menu) return;
    menu.open = true;
    one(".list a", menu)?.focus();
  };
  const moves = { j: () => move(1), k: () => move(-1), v: openMenu };
  document.addEventListener("keydown", (e) => {
    if ((e.ctrlKey || e.metaKey) && !e.altKey && !e.shiftKey && e.key === "k") {
      e.preventDefault();
      palette();
      return;
    }
    const menu = one("details.menu[open]");
    if (e.key === "Escape" && menu && !dialog.open) {
      menu.open = false;
      one("summary", menu).focus();
      return;
    }
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing || dialog.open) return;
    if (/(^|; )keys=off/.test(document.cookie)) return;
    if (e.target.closest("input, select, textarea, [contenteditable]")) return;
    const before = first;
    clearTimeout(timer);
    first = "";
    if (press(before ? `${before} ${e.key}` : e.key)) e.preventDefault();
    else if (before) return;
    else if (e.key === "g") {
      first = "g";
      timer = setTimeout(() => { first = ""; }, 1000);
    } else if (moves[e.key]) {
      e.preventDefault();
      moves[e.key]();
    }
  });

  // A page's form in a dialog. If a response can't be shown in a dialog, it is opened as a page.
  let opener = null;
  const openDialog = (label, inside) => {
    dialog.replaceChildren(inside);
    dialog.ariaLabel = label;
    if (!dialog.open) dialog.showModal();
  };
  const show = async (response, url) => {
    const onward = response.headers.get("X-Location");
    if (onward) {
      location.assign(onward);
      return true;
    }
    const sheet = one(".sheet", parse(await response.text()));
    const heading = sheet && one("h1, h2", sheet);
    if (!heading) return false;
    heading.removeAttribute("id");
    dialog.replaceChildren();
    if (all("[id]", sheet).some((e) => document.getElementById(e.id))) return false;
    const own = all("form:not([action]), form[action='']", sheet);
    own.forEach((form) => form.setAttribute("action", url));
    openDialog(heading.textContent, document.adoptNode(sheet));
    enhance(dialog);
    const to = one("[data-focus]", sheet) || heading;
    to.tabIndex = -1;
    to.focus();
    return true;
  };
  document.addEventListener("click", async (e) => {
    const link = e.target.closest("a[data-dialog], dialog a[data-back]");
    if (!link || e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
    e.preventDefault();
    if (dialog.contains(link)) {
      dialog.close();
      return;
    }
    opener = link.closest("details.menu")?.querySelector("summary") || link;
    closeMenus(null);
    const response = await fetch(link.href, { headers: { "X-Dialog": "1" } }).catch(() => null);
    if (!response || !(await show(response, link.href))) location.assign(link.href);
  });
  dialog.addEventListener("close", () => {
    dialog.replaceChildren();
    if (dialog.dataset.changed) location.reload(); else opener?.focus();
    opener = null;
  });

  // Forms: submitted only once, with a warning before unsaved changes are lost; in a dialog
  // without leaving it.
  const sending = (form, button) => {
    if (form.dataset.sent) return false;
    form.dataset.sent = "1";
    button?.setAttribute("aria-busy", "true");
    return true;
  };
  const reset = (at) => {
    all("form[data-sent]", at).forEach((form) => { delete form.dataset.sent; });
    all("button[aria-busy]", at).forEach((button) => button.removeAttribute("aria-busy"));
  };
  const prefer = (button) => {
    const { name, value } = button;
    document.cookie = `${name}=${value}; path=/; samesite=lax; max-age=${value ? 31536000 : 0}`;
    for (const choice of all(`[data-preference] button[name="${name}"]`)) {
      choice.ariaPressed = String(choice.value === value);
    }
    if (name !== "look") return;
    if (value) root.dataset.look = value; else delete root.dataset.look;
  };
  document.addEventListener("submit", async (e) => {
    const form = e.target;
    if (form.matches("[data-preference]") && e.submitter) {
      e.preventDefault();
      prefer(e.submitter);
      return;
    }
    if (form.method !== "post") return;
    if (!sending(form, e.submitter)) {
      e.preventDefault();
      return;
    }
    if (!dialog.contains(form)) return;
    e.preventDefault();
    const body = new URLSearchParams(new FormData(form, e.submitter)), url = form.action;
    const options = { method: "POST", body, headers: { "X-Dialog": "1" } };
    const response = await fetch(url, options).catch(() => null);
    if (!response) {
      reset(dialog);
      one(".offline", form)?.remove();
      const words = "Not sent because there is no connection. Try again.";
      form.append(make("p", { className: "error offline", role: "alert" }, words));
      return;
    }
    if (response.ok && !response.headers.get("X-Location")) dialog.dataset.changed = "1";
    if (!(await show(response, url))) form.submit();
  });
  document.addEventListener("input", (e) => {
    if (e.target.form?.matches("[data-guard]")) e.target.form.dataset.dirty = "1";
  });
  addEventListener("beforeunload", (e) => {
    if (one("form[data-dirty]:not([data-sent])")) e.preventDefault();
  });
  addEventListener("pageshow", (e) => {
    if (e.persisted) reset(document);
  });

  // The command palette: links of this page, and customers by the search of their list.
  const palette = () => {
    if (dialog.open) return;
    const links = all(".top nav a, .sections a, .me .list a, main a.button")
      .filter((a) => !a.closest("[data-row]"));
    const pages = [...new Map(links.map((a) => [a.href, a.textContent.trim()]))];
    const find = one("form.find"), label = find ? "Find a page or a customer" : "Find a page";
    const input = make("input", {
      type: "search", ariaLabel: label, placeholder: label, autocomplete: "off",
    });
    const list = make("ul");
    let wait;
    const item = ([href, words], kind) => {
      const inside = [make("bdi", {}, words), make("span", { className: "small" }, kind)];
      return make("li", {}, make("a", { href }, ...inside));
    };
    const fill = (customers) => {
      const typed = input.value.trim().toLowerCase();
      const matching = pages.filter(([, words]) => words.toLowerCase().includes(typed));
      list.replaceChildren(
        ...matching.map((p) => item(p, "")),
        ...customers.map((c) => item(c, "Customer")),
      );
      if (typed) announce(`${list.children.length} results`);
    };
    const ask = async () => {
      const q = input.value;
      const url = `${find.action}?${new URLSearchParams({ q })}`;
      const response = await fetch(url).catch(() => null);
      if (!response?.ok) return;
      const page = parse(await response.text());
      if (q !== input.value) return;
      const found = all("[data-row] th a", page).slice(0, 8);
      fill(found.map((a) => [a.getAttribute("href"), a.textContent.trim()]));
    };
    input.oninput = () => {
      fill([]);
      clearTimeout(wait);
      if (find && input.value.trim()) wait = setTimeout(ask, 200);
    };
    const box = make("div", { className: "palette" }, input, list);
    box.onkeydown = (e) => {
      const stops = [input, ...all("a", list)], at = stops.indexOf(document.activeElement);
      const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
      if (step) {
        e.preventDefault();
        stops[Math.min(stops.length - 1, Math.max(0, at + step))].focus();
      }
      if (e.key === "Enter" && at === 0) {
        e.preventDefault();
        stops[1]?.click();
      }
    };
    opener = document.activeElement;
    fill([]);
    openDialog(label, box);
    input.focus();
  };

  // Parts loaded by htmx; a part that fails is opened as a page.
  const on = (event, does) => document.addEventListener(`htmx:${event}`, does);
  on("beforeRequest", (e) => e.detail.target.setAttribute("aria-busy", "true"));
  on("afterRequest", (e) => e.detail.target.removeAttribute("aria-busy"));
  on("afterSettle", () => enhance(document));
  on("responseError", (e) => location.assign(e.detail.pathInfo.finalRequestPath));
  on("sendError", () => announce("The service did not respond. Try again."));

  enhance(document);
  one("[data-focus]")?.focus();
})();
