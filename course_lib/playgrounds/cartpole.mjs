// Carts with poles, each pushed by a network: chapter 18. The physics is that of Gymnasium's
// CartPole-v1, as in course_lib.policy_gradient: a state is the cart's place in metres, its speed,
// the pole's angle in radians and its speed. A network is a list of layers: {W, b}, "tanh", "relu".

import { argmax, clock, connect, random } from "./stage.mjs";

const GRAVITY = 9.8, CART = 1.0, POLE = 0.1, HALF = 0.5; // m/s², kg, kg, metres
export const TAU = 0.02; // seconds a step
export const EDGE = 2.4, TILT = (12 * 2 * Math.PI) / 360; // metres and radians: beyond, it has fallen
export const PUSH = 1.0; // radians a second that a push adds to the pole's speed
const REST = 1.0; // seconds between a fall and the next start

// Where cart and pole are one step later: action 0 pushes to the left, 1 to the right.
export function next([place, speed, angle, turn], action) {
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const force = (action * 2 - 1) * 10;
  const push = (force + POLE * HALF * turn ** 2 * sin) / (CART + POLE);
  const inertia = HALF * (4 / 3 - (POLE * cos ** 2) / (CART + POLE));
  const turnRate = (GRAVITY * sin - cos * push) / inertia;
  const speedRate = push - (POLE * HALF * turnRate * cos) / (CART + POLE);
  return [place + TAU * speed, speed + TAU * speedRate, angle + TAU * turn, turn + TAU * turnRate];
}

export const fallen = ([place, , angle]) => Math.abs(place) > EDGE || Math.abs(angle) > TILT;

export const begin = draw => [draw(), draw(), draw(), draw()].map(u => u * 0.1 - 0.05);

// What a network says of an observation: a number for each action.
export function logits(layers, obs) {
  const apply = (x, layer) => {
    if (layer === "tanh") return x.map(Math.tanh);
    if (layer === "relu") return x.map(v => Math.max(v, 0));
    return layer.W.map((row, i) => row.reduce((sum, w, j) => sum + w * x[j], layer.b[i]));
  };
  return layers.reduce(apply, obs);
}

// A cart with its network: plays one step, counts how long the pole has stood.
export function cart(layers, seed) {
  const draw = random(seed);
  return { layers, draw, state: begin(draw), steps: 0, longest: 0, rest: 0 };
}

export function advance(one) {
  if (one.rest > 0) {
    one.rest -= TAU;
    if (one.rest <= 0) Object.assign(one, { state: begin(one.draw), steps: 0, rest: 0 });
    return;
  }
  one.state = next(one.state, argmax(logits(one.layers, one.state)));
  if (fallen(one.state)) one.rest = REST;
  else one.steps += 1;
  one.longest = Math.max(one.longest, one.steps);
}

// A knock on the pole: its speed changes at once.
export function knock(one, speed) {
  const [place, pace, angle, turn] = one.state;
  if (!one.rest) one.state = [place, pace, angle, turn + speed];
}

// ---- the picture

const seconds = steps => (steps * TAU).toFixed(1) + " s";

export function mount(figure, { nets, seed, metre }) {
  const places = [...figure.querySelectorAll(".dlm-cart")];
  const start = () => nets.map(({ layers }) => cart(layers, seed));
  let carts = start(), due = 0;

  const draw = () => carts.forEach((one, i) => {
    const find = name => places[i].querySelector(`.dlm-${name}`);
    const [place, , angle] = one.state;
    find("moving").setAttribute("transform", `translate(${(place * metre).toFixed(2)} 0)`);
    find("pole").setAttribute("transform", `rotate(${((angle * 180) / Math.PI).toFixed(2)})`);
    places[i].classList.toggle("dlm-fallen", one.rest > 0);
    const told = !one.rest ? "balanced for" : Math.abs(place) > EDGE ? "off after" : "fell after";
    find("now").textContent = `${told} ${seconds(one.steps)}`;
    find("longest").textContent = `longest ${seconds(one.longest)}`;
  });
  const say = text => { figure.querySelector(".dlm-said").textContent = text; };
  const times = () =>
    nets.map(({ name }, i) => `${name}: longest ${seconds(carts[i].longest)}`).join("; ");

  const running = clock(passed => {
    due += passed;
    for (; due >= TAU; due -= TAU) carts.forEach(advance);
    draw();
  });
  const play = on => {
    on ? running.play() : running.pause();
    controls.play.textContent = on ? "Pause" : "Play";
  };
  const push = way => {
    carts.forEach(one => knock(one, way * PUSH));
    const said = `Each pole is pushed to the ${way < 0 ? "left" : "right"}, by ${PUSH} radian a second`;
    say(said + (running.playing ? "." : ": press Play to see it."));
  };
  let wanted = !matchMedia("(prefers-reduced-motion: reduce)").matches; // until the reader chooses
  const controls = connect(figure, {
    play() {
      wanted = !running.playing;
      play(wanted);
      say(running.playing ? "It plays." : `Paused. ${times()}.`);
    },
    restart() {
      carts = start();
      say("Every cart starts anew.");
      draw();
    },
    left: () => push(-1),
    right: () => push(1),
  });

  const look = entries => play(wanted && entries.at(-1).isIntersecting);
  new IntersectionObserver(look, { threshold: 0.3 }).observe(figure.querySelector(".dlm-carts"));
  draw();
}
