// What packages need, unfolded level by level: a branch that is opened is filled with the list of its page.
document.addEventListener(
  "toggle",
  async (event) => {
    const branch = event.target;
    if (!branch.open || !branch.classList.contains("branch")) return;
    const link = branch.querySelector("a[data-branch]");
    if (!link || branch.dataset.asked) return;
    branch.dataset.asked = "yes";
    let found;
    try {
      const answer = await fetch(link.href, { headers: { Accept: "text/html", "X-Part": "needs" } });
      found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("needs");
    } catch {
      found = null;
    }
    if (!found) return delete branch.dataset.asked; // the link stays
    found.removeAttribute("id");
    link.parentElement.replaceWith(document.adoptNode(found));
  },
  true,
);
