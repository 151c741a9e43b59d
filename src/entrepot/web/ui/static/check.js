// A file that is chosen, or dropped on the field, is read into the field for the list.
const input = document.querySelector("[data-check] [data-into]");
const area = document.getElementById(input.dataset.into);
const said = document.getElementById("file-said");

async function take(file) {
  if (!file) return;
  const isLarge = file.size > Number(input.dataset.most);
  said.textContent = isLarge ? input.dataset.tooLarge.replace("%s", () => file.name) : "";
  if (isLarge) return;
  area.value = await file.text();
  area.focus();
}

input.addEventListener("change", () => take(input.files[0]));
area.addEventListener("dragover", (event) => {
  if (event.dataTransfer.types.includes("Files")) event.preventDefault();
});
area.addEventListener("drop", (event) => {
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  take(event.dataTransfer.files[0]);
});
