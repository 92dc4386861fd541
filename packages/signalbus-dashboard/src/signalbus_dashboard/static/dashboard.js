// Refresh the overview while somebody looks at it. Without this script, it is read by
// loading it again.
(() => {
  "use strict";

  const INTERVAL = 2000; // milliseconds
  const POINTS = 60;

  const live = document.getElementById("live");
  const histories = new WeakMap(); // of each sparkline
  let lastBeats = new Map(); // relay → [time of its heartbeat, sent]
  let rate = null;
  let isPaused = false;
  let timer = 0;
  let isAsking = false;

  const show = (scope, name, text) => {
    const place = scope.querySelector(`[data-value="${name}"]`);
    if (place && place.textContent !== text) place.textContent = text;
  };

  const showCount = (scope, name, value, text) => {
    const place = scope.querySelector(`[data-value="${name}"]`);
    if (place) place.classList.toggle("alarm", value > 0);
    show(scope, name, text);
  };

  const number = (value) => (value === null ? "–" : value.toLocaleString("en-US"));

  const draw = (spark, value) => {
    if (!spark || value === null) return;
    const points = histories.get(spark) || [];
    points.push(value);
    if (points.length > POINTS) points.shift();
    histories.set(spark, points);
    const highest = Math.max(1, ...points);
    const gaps = Math.max(points.length, 10) - 1;
    const shape = points.map((each, index) => {
      const x = 120 - (points.length - 1 - index) * (120 / gaps);
      return `${x.toFixed(1)},${(22.5 - (21 * each) / highest).toFixed(1)}`;
    });
    spark.querySelector("polyline").setAttribute("points", shape.join(" "));
  };

  // A relay tells how much it has sent with each heartbeat, every 15 seconds.
  const measureRate = (relays) => {
    const beats = new Map();
    let perSecond = 0;
    let isNew = false;
    for (const relay of relays.filter((each) => each.is_alive)) {
      const now = [Date.parse(relay.heartbeat_at), relay.sent, 0];
      const before = lastBeats.get(relay.id);
      if (before && now[0] > before[0]) {
        now[2] = (1000 * (now[1] - before[1])) / (now[0] - before[0]);
        isNew = true;
      } else if (before) {
        now[2] = before[2];
      }
      perSecond += Math.max(0, now[2]);
      beats.set(relay.id, now);
    }
    lastBeats = beats;
    if (isNew || rate !== null) rate = perSecond;
  };

  const isAnotherPage = (state) => {
    const models = [...live.querySelectorAll("[data-model]")].map((row) => row.dataset.model);
    const relays = [...live.querySelectorAll("[data-relay]")].map((row) => row.dataset.relay);
    const now = (state.relays || []).map((relay) => relay.id);
    return (
      models.join("\n") !== state.models.map((model) => model.name).join("\n") ||
      relays.sort().join() !== now.sort().join() ||
      state.models.some((model) => model.error) !== Boolean(live.querySelector(".row-error"))
    );
  };

  const showState = (state) => {
    const { headline } = state;
    show(live, "headline", headline.text);
    show(live, "detail", headline.detail);
    live.querySelector(".headline").className = `headline level-${headline.level}`;
    document.title = `${headline.text} · signalbus`;
    show(live, "pending", state.pending.text);
    draw(live.querySelector('[data-spark="pending"]'), state.pending.count);
    showCount(live, "failing", state.failing, number(state.failing));
    showCount(live, "parked", state.parked, number(state.parked));
    measureRate(state.relays || []);
    show(live, "rate", rate === null ? "–" : rate.toLocaleString("en-US", { maximumFractionDigits: rate < 10 ? 1 : 0 }));
    draw(live.querySelector('[data-spark="rate"]'), rate);
    state.models.forEach((model) => {
      const row = live.querySelector(`[data-model="${CSS.escape(model.name)}"]`);
      const more = model.counts_all_failures ? "" : "+";
      show(row, "pending", model.pending.text);
      show(row, "oldest", model.oldest || "–");
      showCount(row, "failing", model.failing, number(model.failing) + more);
      showCount(row, "parked", model.parked, number(model.parked) + more);
      const down = row.querySelector('[data-value="down"]');
      down.hidden = !model.is_down;
      if (model.is_down) show(row, "down", "down");
      draw(row.querySelector("[data-spark]"), model.pending.count);
    });
    (state.relays || []).forEach((relay) => {
      const row = live.querySelector(`[data-relay="${CSS.escape(relay.id)}"]`);
      show(row, "state", relay.is_alive ? "running" : "gone");
      row.querySelector('[data-value="state"]').className = `tag ${relay.is_alive ? "tag-ok" : "tag-bad"}`;
      show(row, "started", relay.started);
      show(row, "seen", relay.seen);
      show(row, "sent", number(relay.sent));
      show(row, "failed", number(relay.failed));
    });
  };

  const controls = document.getElementById("controls");
  const status = document.createElement("span");
  const button = document.createElement("button");
  button.type = "button";
  controls.append(status, button);

  const refresh = async () => {
    clearTimeout(timer);
    if (isPaused || document.hidden || isAsking) return;
    isAsking = true;
    try {
      const answer = await fetch(live.dataset.json, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const state = await answer.json();
      if (isAnotherPage(state)) {
        location.reload();
        return;
      }
      showState(state);
      status.textContent = "Live";
    } catch (error) {
      status.textContent = "Not refreshed: no answer";
    }
    isAsking = false;
    timer = setTimeout(refresh, INTERVAL);
  };

  const toggle = () => {
    isPaused = !isPaused;
    start();
  };

  const start = () => {
    button.textContent = isPaused ? "Resume" : "Pause";
    status.textContent = isPaused ? "Paused" : "Live";
    refresh();
  };

  button.addEventListener("click", toggle);
  document.addEventListener("visibilitychange", refresh);
  live.querySelectorAll(".watch").forEach((each) => { each.hidden = false; });
  start();
})();
