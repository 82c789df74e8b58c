// dashboard.js: what the page does. One look a second: ask, remember, draw. What was before comes from the server, which keeps a look of each second for
// 5 minutes and one of each minute for a day (/api/history): `points` begins with those 5 minutes, and `day` is asked for again once a minute while it is shown.
//
// Lines are drawn by the time of the looks. Where there was none (the page was hidden, the server away or started again) a line ends and the next
// begins; so it does where there is nothing to say, such as a hit rate without gets. Rates are over the time between two looks that follow each other.
"use strict";
const HISTORY_MS = 300000, SPAN_MS = 60000, MINUTE_MS = 60000, LOOK_MS = 1000, PATIENCE_MS = 5000;
const byId = (id) => document.getElementById(id);
const HOUR_MS = 3600000, DAY_MS = 24 * HOUR_MS;
// How long ago lines begin; how far apart two looks may be that one line joins; where upright lines stand.
const SPANS = {
	minutes: { mostMs: HISTORY_MS, leastMs: SPAN_MS, gapMs: 2 * (LOOK_MS + PATIENCE_MS), gridMs: MINUTE_MS, gridText: "minute" },
	hour: { mostMs: HOUR_MS, leastMs: HOUR_MS, gapMs: 2.5 * MINUTE_MS, gridMs: 10 * MINUTE_MS, gridText: "ten minutes" },
	day: { mostMs: DAY_MS, leastMs: DAY_MS, gapMs: 2.5 * MINUTE_MS, gridMs: 3 * HOUR_MS, gridText: "three hours" },
};
const points = [];
let day = [], dayAt = null, span = SPANS.minutes;
let estimated = null, isActing = false, before = null, timer = null, isLooking = false;

// ---- text ------------------------------------------------------------------------------------------------------------
function bytesText(n) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let at = 0;
	while (n >= 1024 && at < units.length - 1) { n /= 1024; at++; }
	return `${at === 0 || n >= 100 ? Math.round(n) : n.toFixed(n >= 10 ? 1 : 2)} ${units[at]}`;
}
function timeText(ns) {
	if (ns < 1000) return `${ns} ns`;
	if (ns < 1e6) return `${(ns / 1e3).toFixed(1)} µs`;
	if (ns < 1e9) return `${(ns / 1e6).toFixed(1)} ms`;
	return `${(ns / 1e9).toFixed(2)} s`;
}
function uptimeText(seconds) {
	const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24, minutes = Math.floor(seconds / 60) % 60;
	if (days > 0) return `${days} d ${hours} h`;
	if (hours > 0) return `${hours} h ${minutes} min`;
	return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}
// What the user wrote, as snugctl takes it: "64m", "1.5g", "64MiB".
function bytesOf(text) {
	const [, digits, unit] = /^([\d.]+)([kmgt]?)(?:i?b)?$/i.exec(text);
	return Math.floor(Number(digits) * 1024 ** ["", "k", "m", "g", "t"].indexOf(unit.toLowerCase()));
}
const shareText = (share) => `${(100 * share).toFixed(1)} %`;
const countText = (n) => Math.round(n).toLocaleString("en");

function row(cells) {
	const line = document.createElement("tr");
	cells.forEach((cell, at) => {
		const box = document.createElement(at === 0 ? "th" : "td");
		if (at === 0) box.scope = "row";
		if (typeof cell === "object") { box.className = "number"; box.textContent = cell.text; } else box.textContent = cell;
		line.append(box);
	});
	return line;
}
// A table that is empty says so.
function fill(id, rows, emptyText) {
	if (rows.length === 0) {
		const line = document.createElement("tr"), cell = document.createElement("td");
		cell.colSpan = byId(id).parentElement.tHead.rows[0].cells.length;
		cell.className = "soft";
		cell.textContent = emptyText;
		line.append(cell);
		rows = [line];
	}
	byId(id).replaceChildren(...rows);
}
const right = (text) => ({ text: String(text) });

// ---- asking ----------------------------------------------------------------------------------------------------------
class TokenNeeded extends Error {}

async function ask(method, path, patienceMs) {
	const headers = method === "POST" ? { "X-Snug-Request": "1" } : {};
	const token = sessionStorage.getItem("snug-token");
	if (method === "POST" && token) headers.Authorization = `Bearer ${token}`;
	const options = { method, headers, cache: "no-store" };
	if (patienceMs) options.signal = AbortSignal.timeout(patienceMs);
	const response = await fetch(path, options);
	const answer = await response.json();
	if (response.status === 403 && /need the token/.test(answer.error)) throw new TokenNeeded(token ? "this is not the token of this server" : "this server wants its token");
	if (!response.ok) throw new Error(answer.error || `status ${response.status}`);
	return answer;
}
const look = (path) => ask("GET", path, PATIENCE_MS);

// "0:small:slabs" -> workers[0].small.slabs
function workersOf(metrics) {
	const workers = [];
	for (const [name, value] of Object.entries(metrics)) {
		const path = name.split(":");
		const worker = (workers[+path[0]] ??= {});
		if (path.length === 2) worker[path[1]] = value;
		else (worker[path[1]] ??= {})[path[2]] = value;
	}
	return workers;
}

// ---- drawing ---------------------------------------------------------------------------------------------------------
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function canvasFor(canvas, cssHeight) {
	const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth || 300;
	canvas.style.height = `${cssHeight}px`;
	canvas.width = Math.round(width * ratio);
	canvas.height = Math.round(cssHeight * ratio);
	const pen = canvas.getContext("2d");
	pen.scale(ratio, ratio);
	return [pen, width, cssHeight];
}

// The points that one line joins: each run ends where there is no value, and where nothing was seen for a while.
function runsOf(valueOf) {
	const runs = [];
	let run = null;
	for (const point of shown()) {
		const value = valueOf(point);
		if (value === null || point.isFirst) run = null;
		if (value === null) continue;
		if (run === null) runs.push((run = []));
		run.push({ at: point.at, value });
	}
	return runs;
}

// What the lines are of.
const shown = () => (span === SPANS.minutes ? points : day.filter((point) => points.at(-1).at - point.at <= span.mostMs).concat(points.slice(-1)));
const spanMs = () => Math.min(span.mostMs, Math.max(span.leastMs, points.at(-1).at - shown()[0].at));
function agoText(ms) {
	if (ms <= HISTORY_MS) return `${Math.round(ms / 1000)} seconds`;
	return ms <= HOUR_MS ? `${Math.round(ms / MINUTE_MS)} minutes` : `${Math.round(ms / HOUR_MS)} hours`;
}

// Beside the lines is room for what stands at the axes.
const MARGIN = { left: 66, right: 66, top: 8, bottom: 20 }, LINES_HEIGHT = 160;

// The axes: the first line's values at the left, the second one's at the right unless it is of the same kind, how long ago below.
function drawAxes(pen, lines, plot, length) {
	pen.fillStyle = style("--soft");
	pen.font = "11px system-ui, sans-serif";
	pen.textBaseline = "middle";
	lines.slice(0, lines[0].text === lines[1].text ? 1 : 2).forEach((line, side) => {
		pen.textAlign = side === 0 ? "right" : "left";
		for (const share of [1, 0.5, 0]) pen.fillText(line.text(line.top * share), side === 0 ? plot.left - 6 : plot.left + plot.width + 6, plot.top + (1 - share) * plot.height);
	});
	pen.textBaseline = "alphabetic";
	pen.textAlign = "left";
	pen.fillText(`${agoText(length)} ago`, plot.left, plot.top + plot.height + 15);
	pen.textAlign = "right";
	pen.fillText("now", plot.left + plot.width, plot.top + plot.height + 15);
}

// Lines over time, each scaled to its own top; the text below says what they are.
function drawLines(id, lines, text) {
	const canvas = byId(id), [pen, width, height] = canvasFor(canvas, LINES_HEIGHT), end = points.at(-1).at, length = spanMs();
	const plot = { left: MARGIN.left, top: MARGIN.top, width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
	const xOf = (at) => plot.left + plot.width * (1 - (end - at) / length);
	pen.strokeStyle = style("--line");
	pen.beginPath();
	for (let k = 0; k <= 4; k++) {
		const y = plot.top + (k * plot.height) / 4;
		pen.moveTo(plot.left, y); pen.lineTo(plot.left + plot.width, y);
	}
	for (let at = end - span.gridMs; at > end - length; at -= span.gridMs) { pen.moveTo(xOf(at), plot.top); pen.lineTo(xOf(at), plot.top + plot.height); }
	pen.stroke();
	drawAxes(pen, lines, plot, length);
	for (const line of lines) {
		const yOf = (value) => plot.top + (1 - value / line.top) * plot.height;
		pen.beginPath();
		pen.strokeStyle = style(line.colour);
		pen.lineWidth = 2;
		pen.setLineDash(line.dash ?? []);
		for (const run of runsOf(line.of)) {
			const begin = xOf(run[0].at), isDot = xOf(run.at(-1).at) - begin < 2;
			pen.moveTo(isDot ? begin - 2 : begin, yOf(run[0].value));
			for (const { at, value } of run) pen.lineTo(xOf(at), yOf(value));
		}
		pen.stroke();
	}
	pen.setLineDash([]);
	const said = `${text} The last ${agoText(length)}${length > span.gridMs ? `; an upright line each ${span.gridText}` : ""}.`;
	canvas.setAttribute("aria-label", said);
	byId(`${id}-text`).textContent = said;
}

function drawMap(canvas, map, stride) {
	const shown = map.pages.length, columns = Math.max(16, Math.min(128, Math.ceil(Math.sqrt(Math.max(shown, 1) * 3))));
	const rows = Math.max(1, Math.ceil(shown / columns)), width = canvas.clientWidth || 300, cell = width / columns;
	const [pen] = canvasFor(canvas, Math.max(24, rows * cell));
	const colours = { small: style("--small"), medium: style("--medium"), large: style("--large") }, free = style("--free"), pin = style("--pin");
	const gap = cell > 5 ? 1 : 0;
	map.pages.forEach((page, at) => {
		const x = (at % columns) * cell, y = Math.floor(at / columns) * cell;
		pen.fillStyle = free;
		pen.fillRect(x, y, cell - gap, cell - gap);
		if (page.pool === undefined) return;
		pen.fillStyle = `hsl(${colours[page.pool]} / ${(0.12 + 0.88 * (page.live / page.slots)).toFixed(2)})`;
		pen.fillRect(x, y, cell - gap, cell - gap);
		if (page.pinned > 0) {
			pen.fillStyle = pin;
			pen.beginPath(); pen.arc(x + cell / 2, y + cell / 2, Math.max(1.5, cell / 4), 0, 7); pen.fill();
		}
	});
	const used = map.pages.filter((page) => page.pool !== undefined).length;
	canvas.setAttribute("aria-label", `${used} of ${shown} pages in use${stride > 1 ? `, one in ${stride} shown` : ""}`);
}

function showMaps(answer) {
	const box = byId("maps"), table = [];
	while (box.children.length > answer.workers.length) box.lastChild.remove();
	answer.workers.forEach(({ worker, map, stride_pages: stride }, at) => {
		let figure = box.children[at];
		if (figure === undefined) {
			figure = document.createElement("figure");
			const canvas = document.createElement("canvas");
			canvas.setAttribute("role", "img");
			figure.append(document.createElement("figcaption"), canvas);
			box.append(figure);
		}
		figure.firstChild.textContent = `worker ${worker}: ${map.pages.length} pages of ${bytesText(map.page_bytes)}${stride > 1 ? `, one in ${stride}` : ""}`;
		drawMap(figure.lastChild, map, stride);
		for (const pool of ["small", "medium", "large"]) {
			const pages = map.pages.filter((page) => page.pool === pool);
			if (pages.length === 0) continue;
			const live = pages.reduce((sum, page) => sum + page.live / page.slots, 0) / pages.length;
			table.push(row([String(worker), pool, right(pages.length), right(shareText(live)), right(pages.filter((page) => page.pinned > 0).length)]));
		}
	});
	fill("map-table", table, "Nothing is in use.");
}

// Both are known from the second of two looks on.
const hitRateText = (point) => (point.gets === null ? "not yet known" : point.gets === 0 ? "no gets" : shareText(point.hitRate));
const rateText = (point) => (point.rate === null ? "not yet known" : countText(point.rate));

function showFigures(stats, point) {
	const figures = {
		"memory in use": `${bytesText(point.used)} of ${bytesText(point.limit)}`,
		"resident memory": stats.snug_resident_bytes === undefined ? "not known" : bytesText(stats.snug_resident_bytes),
		items: countText(stats.curr_items),
		"bytes of items": bytesText(stats.bytes),
		reclaimable: bytesText(stats.snug_reclaimable_bytes),
		"external fragmentation": shareText(stats.snug_external_fragmentation),
		"internal fragmentation": shareText(stats.snug_internal_fragmentation),
		"hit rate": hitRateText(point),
		"requests a second": rateText(point),
		evictions: countText(stats.evictions),
		"stores refused": `${countText(stats.store_no_memory)} for memory, ${countText(stats.store_too_large)} too large`,
		connections: countText(stats.curr_connections),
		workers: stats.threads,
		defragmentations: countText(stats.snug_defragmentations),
	};
	byId("figures").replaceChildren(...Object.entries(figures).map(([name, value]) => {
		const pair = document.createElement("div"), term = document.createElement("dt"), text = document.createElement("dd");
		term.textContent = name;
		text.textContent = value;
		pair.append(term, text);
		return pair;
	}));
	byId("version").textContent = `${stats.snug_version}, up ${uptimeText(stats.uptime)}`;
}

// `seen`: what the server told, and when. Its counters begin at 0 with each start, and so do rates.
function pointOf(seen, before, gapMs) {
	const { at, stats } = seen;
	const isSameRun = before !== null && stats.pid === before.stats.pid && stats.uptime >= before.stats.uptime;
	const last = isSameRun && at - before.at < gapMs ? before : null;
	const since = (...names) => last && names.reduce((sum, name) => sum + Math.max(0, stats[name] - last.stats[name]), 0);
	const gets = since("get_hits", "get_misses"), requests = since("get_hits", "get_misses", "cmd_set", "delete_hits", "delete_misses");
	return {
		at, isFirst: last === null, used: stats.snug_committed_bytes + stats.snug_metadata_bytes + stats.snug_charged_bytes,
		payload: stats.bytes, limit: stats.limit_maxbytes, reclaimable: stats.snug_reclaimable_bytes,
		external: stats.snug_external_fragmentation, resident: stats.snug_resident_bytes || null,
		gets, hitRate: gets ? since("get_hits") / gets : null, rate: last && requests / Math.max(0.001, (at - last.at) / 1000),
	};
}

function showLines(point) {
	drawLines("frag", [
		{ of: (p) => p.external, top: 1, text: shareText, colour: "--accent" },
		{ of: (p) => p.reclaimable, top: point.limit, text: bytesText, colour: "--hue-b", dash: [5, 3] },
	], `External fragmentation ${shareText(point.external)} (line); reclaimable ${bytesText(point.reclaimable)} (dashed, of the limit).`);
	const top = Math.max(...shown().map((p) => Math.max(p.limit, p.resident ?? 0)));
	drawLines("use", [
		{ of: (p) => p.used, top, text: bytesText, colour: "--accent" },
		{ of: (p) => p.payload, top, text: bytesText, colour: "--hue-b", dash: [5, 3] },
		{ of: (p) => p.resident, top, text: bytesText, colour: "--hue-c", dash: [2, 2] },
	], `In use ${bytesText(point.used)} (line), of which items ${bytesText(point.payload)} (dashed); resident ${point.resident === null ? "not known" : bytesText(point.resident)} (dotted); the limit is ${bytesText(point.limit)}.`);
	const most = Math.max(1, ...shown().map((p) => p.rate));
	drawLines("load", [
		{ of: (p) => p.hitRate, top: 1, text: shareText, colour: "--accent" },
		{ of: (p) => p.rate, top: most, text: countText, colour: "--hue-b", dash: [5, 3] },
	], `Hit rate: ${hitRateText(point)} (line); requests a second: ${rateText(point)} (dashed, the top is ${countText(most)}).`);
}

// ---- what was before -------------------------------------------------------------------------------------------------
// Columns of figures under the names of /api/stats, as looks at their times; all of the run that answers now.
function looksOf(columns, now, pid) {
	return columns.ago_ms.map((ago, row) => {
		const stats = { pid };
		for (const name of Object.keys(columns)) stats[name] = columns[name][row];
		return { at: now - ago, stats };
	});
}
const pointsOf = (looks, gapMs) => looks.map((seen, index) => pointOf(seen, index > 0 ? looks[index - 1] : null, gapMs));

async function fetchHistory(now, pid) {
	const history = await look("/api/history");
	return { seconds: looksOf(history.seconds, now, pid), minutes: looksOf(history.minutes, now, pid) };
}

// Before the first look of this page is drawn: the seconds that the server has seen.
async function beginWithHistory(seen) {
	const looks = (await fetchHistory(seen.at, seen.stats.pid)).seconds.filter(({ at }) => at < seen.at - LOOK_MS / 2);
	points.push(...pointsOf(looks, SPANS.minutes.gapMs));
	before = looks.at(-1) ?? null;
}

async function updateDay(seen) {
	if (span === SPANS.minutes || (dayAt !== null && seen.at - dayAt < MINUTE_MS)) return;
	day = pointsOf((await fetchHistory(seen.at, seen.stats.pid)).minutes, span.gapMs);
	dayAt = seen.at;
}

byId("span").addEventListener("change", (event) => {
	span = SPANS[event.target.value];
	if (span === SPANS.minutes || dayAt !== null) {
		if (points.length > 0) showLines(points.at(-1));
		return;
	}
	clearTimeout(timer);
	loop();
});

// Rates are over the time since the look before; `last` is null at the first one, and when the server has started again.
let workersBefore = null;

function showLatency(at, workers) {
	const last = workersBefore !== null && at - workersBefore.at < 2 * (LOOK_MS + PATIENCE_MS) ? workersBefore : null;
	const perSecond = (text, worker, number, ...names) => {
		const old = last && last.workers[number];
		if (!old) return "-";
		const done = names.reduce((sum, name) => sum + worker[name] - old[name], 0);
		return done < 0 ? "-" : text(done / Math.max(0.001, (at - last.at) / 1000));
	};
	const busyText = (nsPerSecond) => shareText(Math.min(1, nsPerSecond / 1e9));
	fill("latency", workers.map((worker, number) => row([String(number), right(perSecond(busyText, worker, number, "cpu_ns")),
		right(perSecond(countText, worker, number, "get_hits", "get_misses")), right(perSecond(countText, worker, number, "cmd_set")),
		right(countText(worker.items)), right(timeText(worker.turn_p50_ns)),
		right(timeText(worker.turn_p99_ns)), right(timeText(worker.turn_p999_ns)), right(timeText(worker.turn_max_ns))])), "No worker has answered.");
	workersBefore = { at, workers };
}

// What snugctl doctor says; it looks at the last minutes, so it need not be asked with each look.
const DOCTOR_MS = 10000;
let doctorAt = null;

async function updateFindings(at) {
	if (doctorAt !== null && at - doctorAt < DOCTOR_MS) return;
	const { checks, findings, ...lines } = await look("/api/doctor");
	fill("findings", workersOf(lines).filter(Boolean).map((each) => row([each.what, each.advice])), `Nothing: ${findings} of ${checks} checks found something.`);
	doctorAt = at;
}

// The numbers of schedules are larger than a number of this language is exact.
function showSchedules(answer) {
	const schedules = new Map(), dateText = (second) => (second ? new Date(second * 1000).toLocaleString() : "never");
	for (const [name, value] of Object.entries(answer)) {
		const [number, figure] = name.split(":");
		if (!schedules.has(number)) schedules.set(number, {});
		schedules.get(number)[figure] = value;
	}
	fill("schedules", [...schedules.values()].map((each) => row([each.when, right(`${each.target_percent} %`), right(countText(each.runs)), right(bytesText(each.reclaimed_bytes)),
		dateText(each.last_time), each.running === "yes" ? "running" : dateText(each.next_time)])), "No schedules: snugctl schedule 03:00-05:00 makes one.");
}

// "defragment demand caller": what, how urgent, who wanted it.
function requestText(request) {
	const [what, , origin] = request.split(" "), askers = { caller: "asked for", schedule: "by a schedule", background: "by itself" };
	return `${what}, ${askers[origin] ?? origin}`;
}

function showReports(answer) {
	const reports = workersOf(answer).filter(Boolean).filter((report) => !/^(estimate|metrics)/.test(report.request)).reverse();
	fill("reports", reports.slice(0, 10).map((report) => row([new Date(report.time * 1000).toLocaleTimeString(), requestText(report.request), report.result,
		report.outcome ?? "", right(bytesText(report.reclaimed_bytes)), right(bytesText(report.evicted_bytes)), right(timeText(report.total_ns))])), "Nothing was asked for yet.");
}

// ---- acting ----------------------------------------------------------------------------------------------------------
// `asked`: what was asked for beside the estimate, in words.
function showResult(done, asked) {
	const of = (answer, name, text) => right(answer && answer[name] !== undefined ? text(answer[name]) : "-");
	byId("result").replaceChildren(
		row(["asked for", right("all that can be gained"), right(done ? asked : "-")]),
		row(["returned to the machine", right(done && done.asked_bytes !== undefined ? bytesText(estimated.free_bytes + estimated.reclaimable_bytes) : "-"),
			of(done, "returned_bytes", bytesText)]),
		row(["reclaimed", of(estimated, "reclaimable_bytes", bytesText), of(done, "reclaimed_bytes", bytesText)]),
		row(["objects moved", of(estimated, "moves", countText), of(done, "moved_objects", countText)]),
		row(["bytes moved", of(estimated, "move_bytes", bytesText), of(done, "moved_bytes", bytesText)]),
		row(["work", of(estimated, "predicted_ns", timeText), of(done, "work_ns", timeText)]),
		row(["longest step", of(estimated, "longest_step_ns", timeText), of(done, "longest_step_ns", timeText)]),
		row(["late steps", right("-"), of(done, "late_steps", countText)]),
		row(["evicted", right("-"), of(done, "evicted_bytes", bytesText)]),
		row(["items evicted", right("-"), of(done, "evicted_items", countText)]));
	const outcome = byId("outcome");
	outcome.className = "";
	outcome.textContent = done ? `${done.result}: ${done.why ?? done.outcome}` : `Estimate of all that can be gained, without a budget: ${estimated.outcome}`;
}

// One thing at a time. The buttons only say that they are busy: one that is disabled would lose the focus.
async function act(work) {
	if (isActing) return;
	const buttons = document.querySelectorAll("button:not(#access button, #confirm button)"), asker = document.activeElement;
	isActing = true;
	buttons.forEach((button) => { button.setAttribute("aria-disabled", "true"); });
	byId("outcome").className = "";
	byId("outcome").textContent = "working";
	try {
		await work();
	} catch (error) {
		byId("outcome").className = "bad";
		byId("outcome").textContent = `Not done: ${error.message}`;
		if (error instanceof TokenNeeded) askForToken(asker);
	}
	buttons.forEach((button) => { button.removeAttribute("aria-disabled"); });
	isActing = false;
}

// The focus goes to the token and back to what needed it, unless the user has gone elsewhere.
let tokenAsker = null;

function askForToken(asker) {
	tokenAsker = asker;
	byId("access").hidden = false;
	if (document.activeElement === asker) byId("token").focus();
}

byId("access").addEventListener("submit", (event) => {
	event.preventDefault();
	sessionStorage.setItem("snug-token", byId("token").value);
	byId("token").value = "";
	tokenAsker.focus();
	byId("access").hidden = true;
	byId("outcome").className = "";
	byId("outcome").textContent = "The token is used from now on: ask again for what needed it.";
});

byId("estimate").addEventListener("click", () => act(async () => {
	estimated = await look("/api/estimate");
	showResult(null, "");
}));

// What loses items is told beforehand: what it would give, and cost. Resolves to whether the user wants it; Escape is no.
function confirmed(title, lines, note) {
	const dialog = byId("confirm");
	byId("confirm-title").textContent = title;
	byId("confirm-lines").replaceChildren(...lines.map(([name, text]) => row([name, right(text)])));
	byId("confirm-note").textContent = note;
	dialog.returnValue = "";
	dialog.showModal();
	return new Promise((resolve) => { dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }); });
}
byId("confirm-no").addEventListener("click", () => byId("confirm").close(""));
byId("confirm-yes").addEventListener("click", () => byId("confirm").close("yes"));

const leaveIt = () => { byId("outcome").textContent = "Nothing was changed"; };

// Estimates, does, shows both.
function actBeside(path, query, asked) {
	return act(async () => {
		estimated = await look("/api/estimate");
		showResult(await ask("POST", `${path}?${new URLSearchParams(query)}`), asked);
	});
}

byId("defrag").addEventListener("submit", (event) => {
	event.preventDefault();
	const ms = byId("ms").value, bytes = byId("bytes").value, query = {}, asked = [];
	if (ms) { query.ms = ms; asked.push(`at most ${ms} ms of each worker`); }
	if (bytes) { query.bytes = bytes; asked.push(`copying at most ${bytes} on each worker`); }
	if (asked.length === 0) asked.push("all, without a budget");
	if (byId("return").checked) { query.return = "1"; asked.push("memory returned"); }
	actBeside("/api/defrag", query, asked.join(", "));
});
byId("emergency").addEventListener("submit", (event) => {
	event.preventDefault();
	const need = byId("need").value, mayEvict = byId("evict").checked, needBytes = bytesOf(need);
	act(async () => {
		estimated = await look("/api/estimate");
		const gentle = estimated.free_bytes + estimated.reclaimable_bytes, lacking = Math.max(0, needBytes - gentle);
		const isRefused = lacking > (mayEvict ? estimated.evictable_bytes : 0);
		const note = isRefused ? "That is more than can be returned: it will be refused, and nothing changed."
			: lacking > 0 ? `About ${bytesText(lacking)} of items will be lost.` : "No item will be lost.";
		const lines = [["asked for", bytesText(needBytes)], ["free already", bytesText(estimated.free_bytes)],
			["by compacting", bytesText(estimated.reclaimable_bytes)],
			["by evicting", mayEvict ? `${bytesText(isRefused ? 0 : lacking)} of ${bytesText(estimated.evictable_bytes)}` : "not allowed"]];
		if (!await confirmed(`Return ${bytesText(needBytes)} to the machine?`, lines, note)) return leaveIt();
		const query = mayEvict ? { bytes: need, evict: "1" } : { bytes: need };
		showResult(await ask("POST", `/api/emergency?${new URLSearchParams(query)}`), `${need} for the machine${mayEvict ? ", evicting if needed" : ""}`);
	});
});
byId("limit").addEventListener("submit", (event) => {
	event.preventDefault();
	const wanted = byId("wanted").value, wantedBytes = bytesOf(wanted);
	act(async () => {
		const [estimate, now] = await Promise.all([look("/api/estimate"), look("/api/limit")]);
		const lost = Math.max(0, now.used_bytes - estimate.reclaimable_bytes - wantedBytes);
		const note = wantedBytes > now.limit_max_bytes ? "That is more than --memory-max allows: it will be refused."
			: lost > 0 ? `Up to ${bytesText(lost)} of items will be lost.` : "No item will be lost.";
		const lines = [["limit now", bytesText(now.limit_bytes)], ["in use", bytesText(now.used_bytes)], ["by compacting", bytesText(estimate.reclaimable_bytes)],
			["by evicting, at most", bytesText(lost)]];
		if (!await confirmed(`A limit of ${bytesText(wantedBytes)} from now on?`, lines, note)) return leaveIt();
		const done = await ask("POST", `/api/limit?${new URLSearchParams({ bytes: wanted })}`);
		byId("outcome").className = "";
		byId("outcome").textContent = `The limit is to be ${bytesText(done.limit_goal_bytes)}; ${bytesText(done.used_bytes)} are in use.`;
	});
});

// ---- once a second ---------------------------------------------------------------------------------------------------
function say(text, isBad) {
	const state = byId("state");
	if (state.textContent !== text) state.textContent = text;
	state.className = isBad ? "bad" : "soft";
}

async function round() {
	const seen = look("/api/stats").then((stats) => ({ at: performance.now(), stats }));
	const [{ at, stats }, metrics, map, report, schedules] = await Promise.all([seen, look("/api/metrics"), look("/api/map"), look("/api/report?n=50"), look("/api/schedules")]);
	if (points.length === 0) await beginWithHistory({ at, stats });
	await updateDay({ at, stats });
	await updateFindings(at);
	const point = pointOf({ at, stats }, before, SPANS.minutes.gapMs);
	before = { at, stats };
	points.push(point);
	while (at - points[0].at > HISTORY_MS) points.shift();
	showFigures(stats, point);
	showMaps(map);
	showLines(point);
	showLatency(at, workersOf(metrics));
	showSchedules(schedules);
	showReports(report);
}

// Nothing is asked for a page that nobody sees; when it is seen again, at once.
async function loop() {
	clearTimeout(timer);
	if (isLooking) return;
	if (document.hidden) {
		before = null;
		return;
	}
	isLooking = true;
	try {
		await round();
		say("live", false);
	} catch (error) {
		before = null;
		say(`No answer (${error.message}); trying again`, true);
	}
	isLooking = false;
	timer = setTimeout(loop, LOOK_MS);
}
document.addEventListener("visibilitychange", loop);
loop();
