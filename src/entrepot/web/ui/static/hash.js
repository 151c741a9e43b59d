// Links of the product say behind `#` which page they mean: /#/repos/NAME/packages?search=term. Ours have it in the path.
const PAGES = { packages: "packages", overview: "packages", setup: "setup", activity: "activity", usage: "usage" };

function follow() {
  const [path, query] = location.hash.replace(/^#/, "").split("?");
  const [, place, name, page = "packages", one] = path.split("/");
  if (place !== "repos" || !name || !Object.hasOwn(PAGES, page)) return;
  const given = new URLSearchParams(query);
  const kept = new URLSearchParams();
  for (const [theirs, ours] of [["search", "search"], ["snapshot", "snapshot"], ["bioconductor_version", "bioc_version"]]) {
    if (given.get(theirs)) kept.set(ours, given.get(theirs));
  }
  const parts = ["repos", name, PAGES[page], ...(page === "packages" && one ? [one] : [])];
  try {
    const url = `${document.querySelector("[data-hash-routes]").dataset.hashRoutes}/__ui__/${parts.map((part) => encodeURIComponent(decodeURIComponent(part))).join("/")}`;
    location.replace(String(kept) ? `${url}?${kept}` : url);
  } catch {
    // no name
  }
}

addEventListener("hashchange", follow);
follow();
