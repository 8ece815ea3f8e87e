import "./early";

import { render } from "preact";

import "uplot/dist/uPlot.min.css";
import "./style/base.css";
import "./style/parts.css";
import "./style/views.css";
import { App } from "./app";
import { first } from "./poll";

const page = document.getElementById("page");
if (page) {
  void first().then(() => {
    page.replaceChildren();
    render(<App />, page);
  });
}
