// What makes the pages live. Every page is complete without: facts, links and all state in the address come from the server, and a
// part here only adds to what stands there. A part is a function that finds its elements and adds to those it has not seen; it
// runs when the page is there, and again whenever the page has loaded itself anew.

import { brushBars } from './bars.js';
import { brushes } from './brush.js';
import { charts } from './chart.js';
import { localClock } from './clock.js';
import { graphs } from './graph.js';
import { follow, keepFresh } from './refresh.js';
import { editSql } from './sql.js';
import { tailLogs } from './tail.js';
import { drawWaterfall } from './waterfall.js';

/** @type {(() => void)[]} */
const parts = [graphs, charts, brushes, brushBars, tailLogs, drawWaterfall, editSql, localClock];

const enliven = () => {
  parts.forEach((part) => part());
  follow(enliven);
};

enliven();
keepFresh(enliven);
