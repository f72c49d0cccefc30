"use strict";

// Sorts a table of class "sortable" when a heading is pressed: by numbers first, then text; cells
// without a value come last in both directions.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  const valueOf = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;

  const compare = (first, second) => {
    const [one, other] = [Number(first), Number(second)];
    if (!Number.isNaN(one) && !Number.isNaN(other)) return one - other;
    if (Number.isNaN(one) !== Number.isNaN(other)) return Number.isNaN(one) ? 1 : -1;
    return first.localeCompare(second, "en", { numeric: true });
  };

  const sortBy = (column) => {
    const ascending = headings[column].getAttribute("aria-sort") !== "ascending";
    for (const heading of headings) heading.removeAttribute("aria-sort");
    headings[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const rows = [...body.rows].sort((one, other) => {
      const [first, second] = [valueOf(one, column), valueOf(other, column)];
      if (first === "" || second === "") return (first === "") - (second === "");
      return ascending ? compare(first, second) : compare(second, first);
    });
    body.append(...rows);
  };

  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortBy(column));
    heading.append(button);
  });
}
