/** The page for adding tasks: shows the form of a function when it is chosen, and takes files dropped on the text. */

const choose = document.getElementById("choose");
choose?.elements.function.addEventListener("change", () => choose.requestSubmit());

const many = document.getElementById("many");
if (many) {
  const { text, file } = many.elements;
  const mark = (event, on) => {
    event.preventDefault();
    many.classList.toggle("dropping", on);
  };
  many.addEventListener("dragover", (event) => mark(event, true));
  many.addEventListener("dragleave", (event) => mark(event, false));
  many.addEventListener("drop", (event) => {
    mark(event, false);
    if (!event.dataTransfer.files.length) return;
    file.files = event.dataTransfer.files;
    text.value = "";
  });
}
