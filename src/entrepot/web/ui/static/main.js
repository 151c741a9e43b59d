// What a page needs of script, by what is on it. Every page works without.
const features = {
  "[data-copy]": "copy",
  "[data-search]": "search",
  "[data-tree], .tree": "tree",
  "[data-choose]": "choose",
  "[data-live]": "live",
  "[data-order]": "order",
  "[data-setup]": "setup",
  "[data-calendar]": "calendar",
  "[data-check]": "check",
  "[data-hash-routes]": "hash",
};
for (const [selector, name] of Object.entries(features)) {
  if (document.querySelector(selector)) import(`./${name}.js`);
}
