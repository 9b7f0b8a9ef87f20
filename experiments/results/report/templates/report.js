"use strict";
// Tables are sorted by a button in each header; without this script the page is complete, only not sortable.
const spoken = document.getElementById("spoken");

function orderOf(row, column) {
  return row.cells[column].dataset.order;
}

function compare(first, second, numeric) {
  return numeric ? Number(first) - Number(second) : first.localeCompare(second, "en", { numeric: true });
}

function sortBy(table, column, direction) {
  const header = table.tHead.rows[0].cells[column];
  const numeric = header.classList.contains("number");
  const sign = direction === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const known = [...body.rows].filter((row) => orderOf(row, column) !== undefined);
  const unknown = [...body.rows].filter((row) => orderOf(row, column) === undefined);
  known.sort((a, b) => sign * compare(orderOf(a, column), orderOf(b, column), numeric));
  body.append(...known, ...unknown);
  for (const cell of table.tHead.rows[0].cells) cell.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", direction);
  spoken.textContent = `${table.caption.textContent}: sorted by ${header.textContent}, ${direction}`;
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  if (table.tBodies[0].rows.length < 2) continue;
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    header.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      // Of figures one wants the highest first, of names the beginning of the alphabet.
      const first = header.classList.contains("number") ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      sortBy(table, column, header.getAttribute("aria-sort") === first ? other : first);
    });
  });
}
