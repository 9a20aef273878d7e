// Dark or light, before anything is drawn: as the system has it, or as was chosen here.

(() => {
  const KEY = "katabridge.theme";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem(KEY) ?? "auto";

  const dress = () => {
    const theme = chosen();
    const looks = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
    document.documentElement.setAttribute("data-theme", looks);
  };

  dark.addEventListener("change", dress);
  dress();
  document.addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = chosen();
    select.addEventListener("change", () => {
      localStorage.setItem(KEY, select.value);
      dress();
    });
  });
})();
