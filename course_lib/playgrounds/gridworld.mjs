// A world of cells and a Q-learner in it, as course_lib.q_learning has them: chapter 17.
// A world is {rows, step, goal, pit, slip}: letters S start, G goal, X pit, # wall, . floor.
// A state is row * columns + column; Q is a list of states, each a list of four values.

import { clock, connect, random } from "./stage.mjs";

export const ACTIONS = ["left", "down", "right", "up"];
const MOVES = [[0, -1], [1, 0], [0, 1], [-1, 0]]; // rows down, columns right
export const LIMIT = 500; // steps after which an episode is cut off

// ---- the world

export const letter = (world, s) => {
  const columns = world.rows[0].length;
  return world.rows[Math.floor(s / columns)][s % columns];
};

export const states = world => world.rows.join("").length;

export const terminal = (world, s) => "GX".includes(letter(world, s));

// Where one move leads: into a wall or off the edge it stays.
export function move(world, s, direction) {
  const [height, width] = [world.rows.length, world.rows[0].length];
  const [down, right] = MOVES[direction];
  const [i, j] = [Math.floor(s / width) + down, (s % width) + right];
  const inside = i >= 0 && i < height && j >= 0 && j < width;
  return inside && letter(world, i * width + j) !== "#" ? i * width + j : s;
}

export function reward(world, then) {
  const paid = { G: world.goal, X: world.pit }[letter(world, then)] ?? 0;
  return world.step + paid;
}

// What may come of an action: [probability, next state, reward], straight on first, then the sides.
export function ways(world, s, action) {
  return [[0, 1 - world.slip], [1, world.slip / 2], [3, world.slip / 2]].map(([turn, chance]) => {
    const then = move(world, s, (action + turn) % 4);
    return [chance, then, reward(world, then)];
  });
}

export function changed(world, s, to) {
  const columns = world.rows[0].length, row = Math.floor(s / columns), at = s % columns;
  const rows = [...world.rows];
  rows[row] = rows[row].slice(0, at) + to + rows[row].slice(at + 1);
  return { ...world, rows };
}

// ---- what is best: value iteration

// Q of the best policy: v <- max over actions of sum of P (R + gamma v), until v stays.
export function optimal(world, gamma, tolerance = 1e-10, sweeps = 2000) {
  const all = [...Array(states(world)).keys()];
  const table = all.map(s => ACTIONS.map((_, a) => ways(world, s, a)));
  const ends = all.map(s => terminal(world, s));
  const worth = v => all.map(s => table[s].map(outcomes => ends[s] ? 0 : outcomes.reduce(
    (sum, [chance, then, r]) => sum + chance * (r + (ends[then] ? 0 : gamma * v[then])), 0)));
  let v = all.map(() => 0);
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const old = v;
    v = worth(v).map(q => Math.max(...q));
    if (v.every((x, s) => Math.abs(x - old[s]) <= tolerance)) break;
  }
  return worth(v);
}

// The actions whose values are the highest.
export function best(q, slack = 1e-9) {
  const top = Math.max(...q);
  return ACTIONS.map((_, a) => a).filter(a => q[a] >= top - slack);
}

// The cells in which a learner from the start may choose an action.
export function reachable(world) {
  const found = new Set(starts(world));
  for (const s of found)
    for (let a = 0; a < 4; a++) {
      const then = move(world, s, a);
      if (!terminal(world, then)) found.add(then);
    }
  return [...found];
}

const starts = world =>
  [...Array(states(world)).keys()].filter(s => letter(world, s) === "S");

// How many of these cells point the best way: where all four are equal, none is pointed.
export function agreeing(Q, bestQ, cells) {
  return cells.filter(s => best(Q[s]).length < 4 || best(bestQ[s]).length === 4)
    .filter(s => best(Q[s]).every(a => best(bestQ[s], 1e-6).includes(a))).length;
}

// ---- the learner

export function begin(world, seed) {
  const draw = random(seed);
  const Q = [...Array(states(world))].map(() => [0, 0, 0, 0]);
  return { Q, draw, state: someStart(world, draw), age: 0, sum: 0, episodes: 0, steps: 0, last: null };
}

function someStart(world, draw) {
  const all = starts(world);
  return all[Math.floor(draw() * all.length)];
}

// Any action with probability epsilon, else one of the best.
export function choose(q, epsilon, draw) {
  const among = draw() < epsilon ? [0, 1, 2, 3] : best(q);
  return among[Math.floor(draw() * among.length)];
}

// Q(s, a) + alpha (r + gamma max Q(s') - Q(s, a)); nothing comes after the end.
export function updated(value, r, nextValues, over, alpha, gamma) {
  const future = over ? 0 : Math.max(...nextValues);
  return value + alpha * (r + gamma * future - value);
}

// One step of the learner, which learns from it. Says what happened.
export function advance(learner, world, { alpha, gamma, epsilon }) {
  const { Q, draw, state: s } = learner;
  const a = choose(Q[s], epsilon, draw);
  const u = draw(), outcomes = ways(world, s, a);
  const [, then, r] = u < outcomes[0][0] ? outcomes[0]
    : u < outcomes[0][0] + outcomes[1][0] ? outcomes[1] : outcomes[2];
  const over = terminal(world, then);
  Q[s][a] = updated(Q[s][a], r, Q[then], over, alpha, gamma);
  learner.state = then;
  learner.steps += 1;
  learner.age += 1;
  learner.sum += r;
  const ended = over || learner.age >= LIMIT;
  if (ended) restartEpisode(learner, world);
  return { s, a, r, then, over, ended };
}

function restartEpisode(learner, world) {
  Object.assign(learner, { last: learner.sum, episodes: learner.episodes + 1 });
  leave(learner, world);
}

// Back to a start, without counting an episode.
export function leave(learner, world) {
  Object.assign(learner, { state: someStart(world, learner.draw), age: 0, sum: 0 });
}

// ---- the picture

const NAMES = { S: "start", G: "goal", X: "pit", "#": "wall", ".": "floor" };
const NEXT = { ".": "#", "#": "X", X: "." }; // what a click makes of a cell
const HEADS = [
  "M -19 0 L -10 -7 V 7 Z", "M 0 19 L -7 10 H 7 Z", "M 19 0 L 10 -7 V 7 Z", "M 0 -19 L -7 -10 H 7 Z",
];
const FULL = 0.55; // opacity at most: letters and arrows on it keep a contrast of 4.5 : 1
const COLOURS = { above: "#0072B2", below: "#D55E00", goal: "#009E73" };

const signed = (x, digits = 2) =>
  (x < 0 && +x.toFixed(digits) ? "\u2212" : "") + Math.abs(x).toFixed(digits);

const counted = steps => `${steps} step${steps === 1 ? "" : "s"}`;

export function mount(figure, data) {
  const { seed, gamma, alpha, epsilon, ...first } = data;
  const settings = { gamma, alpha, epsilon };
  const part = name => figure.querySelector(`.dlm-${name}`);
  const cells = [...figure.querySelectorAll("[data-cell]")];
  const columns = first.rows[0].length;
  let world = first, learner = begin(world, seed), target, within, scale, pointed = 0, due = 0;

  const plan = () => { // what is best changes with the world and with gamma
    target = optimal(world, settings.gamma);
    within = reachable(world);
    scale = Math.max(...within.map(s => Math.abs(Math.max(...target[s]))), 1e-9);
  };
  const values = s => terminal(world, s) || letter(world, s) === "#" ? ""
    : ": " + learner.Q[s].map((q, a) => `${ACTIONS[a]} ${signed(q)}`).join(", ");
  const name = s =>
    `row ${Math.floor(s / columns) + 1}, column ${(s % columns) + 1}, ${NAMES[letter(world, s)]}`;
  const say = text => { part("said").textContent = text; };

  const paint = (cell, s) => {
    const kind = letter(world, s), [ground, arrow, text] = cell.children;
    const top = Math.max(...learner.Q[s]);
    const colour = { G: COLOURS.goal, X: COLOURS.below, "#": "currentColor" }[kind]
      ?? (top < 0 ? COLOURS.below : COLOURS.above);
    const opacity = { G: FULL, X: FULL, "#": 0.7 }[kind] ?? FULL * Math.min(Math.abs(top) / scale, 1);
    ground.setAttribute("fill", colour);
    ground.setAttribute("fill-opacity", opacity.toFixed(3));
    const heads = "S.".includes(kind) ? best(learner.Q[s]) : [];
    arrow.setAttribute("d", heads.length < 4 ? heads.map(a => HEADS[a]).join(" ") : "");
    text.textContent = kind.replace(/[#.]/, "");
  };
  const draw = () => {
    cells.forEach(paint);
    part("agent").setAttribute("transform", cells[learner.state].getAttribute("transform"));
    part("numbers").textContent = `episode ${learner.episodes + 1} · ${counted(learner.steps)} · `
      + `last return ${learner.last === null ? "none yet" : signed(learner.last)} · best `
      + `arrows: ${agreeing(learner.Q, target, within)} of ${within.length}`;
    part("values").textContent = `Q at ${name(pointed)}${values(pointed)}`;
  };

  // ---- controls

  const once = () => advance(learner, world, settings);
  const running = clock(seconds => {
    due += seconds * Number(controls.speed.value);
    for (; due >= 1; due--) once();
    draw();
  });
  const pause = () => {
    running.pause();
    controls.run.textContent = "Run";
  };
  const set = control => {
    settings[control.name] = Number(control.value);
    control.nextElementSibling.textContent = settings[control.name].toFixed(2);
    plan();
    draw();
  };
  const controls = connect(figure, {
    step() {
      pause();
      const { s, a, r, then, ended } = once();
      say(`From ${name(s)}, ${ACTIONS[a]} to ${name(then)}: reward ${signed(r)}.`
        + (ended ? ` The episode ends with ${signed(learner.last)}.` : ""));
      draw();
    },
    episode() {
      pause();
      let count = 1;
      while (!once().ended) count++;
      say(`The episode ended after ${counted(count)} with a return of ${signed(learner.last)}.`);
      draw();
    },
    run(control) {
      if (running.playing) pause();
      else {
        running.play();
        control.textContent = "Pause";
      }
      say(running.playing ? "It runs." : "Paused.");
    },
    restart() {
      pause();
      learner = begin(world, seed);
      say("All that was learned is forgotten.");
      draw();
    },
    original() {
      world = first;
      learner.Q = learner.Q.map((q, s) => (terminal(world, s) ? [0, 0, 0, 0] : q));
      if (terminal(world, learner.state) || letter(world, learner.state) === "#") leave(learner, world);
      say("The world is as it was at first.");
      plan();
      draw();
      controls.original.disabled = true;
    },
    speed() {},
    epsilon: set,
    gamma: set,
    alpha: set,
  });

  // ---- cells

  const label = s => cells[s].setAttribute("aria-label", name(s) + values(s));
  const point = s => {
    cells[pointed].setAttribute("tabindex", -1);
    cells[pointed].classList.remove("dlm-pointed");
    pointed = s;
    cells[s].setAttribute("tabindex", 0);
    cells[s].classList.add("dlm-pointed");
    label(s);
    draw();
  };
  const change = s => {
    const to = NEXT[letter(world, s)];
    if (!to) return say(`The ${NAMES[letter(world, s)]} stays where it is.`);
    world = changed(world, s, to);
    learner.Q[s] = [0, 0, 0, 0];
    if (learner.state === s && to !== ".") leave(learner, world);
    controls.original.disabled = false;
    plan();
    point(s);
    say(`Now: ${name(s)}.`);
  };
  const key = (event, s) => {
    const to = { ArrowLeft: 0, ArrowDown: 1, ArrowRight: 2, ArrowUp: 3 }[event.key];
    const acts = event.key === "Enter" || event.key === " ";
    if (to === undefined && !acts) return;
    event.preventDefault();
    if (acts) return change(s);
    const open = { ...world, rows: world.rows.map(row => ".".repeat(row.length)) };
    point(move(open, s, to));
    cells[pointed].focus();
  };
  cells.forEach((cell, s) => {
    cell.setAttribute("role", "button");
    cell.setAttribute("tabindex", -1);
    label(s);
    cell.addEventListener("pointerenter", e => { if (e.pointerType === "mouse") point(s); });
    cell.addEventListener("click", () => (pointed === s ? change(s) : point(s)));
    cell.addEventListener("focus", () => label(s));
    cell.addEventListener("keydown", e => key(e, s));
  });
  part("grid").setAttribute("role", "group"); // a picture no more: its cells are buttons
  controls.original.disabled = true;
  plan();
  point(learner.state);
}
