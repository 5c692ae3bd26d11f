// A button beside each line that is there to be copied. Without this script the line is marked as a
// whole by one click.
const words = document.getElementById("news")?.dataset ?? {};
if (navigator.clipboard) {
  for (const line of document.querySelectorAll("pre.copy")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copier";
    button.textContent = words.copy;
    const text = line.textContent;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = words.copied;
        setTimeout(() => { button.textContent = words.copy; }, 2000);
      } catch {
        getSelection().selectAllChildren(line);
      }
    });
    line.after(button);
  }
}
