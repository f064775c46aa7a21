/* SPDX-License-Identifier: MIT */
/*
 * The timeline as an SVG picture: each loop a row, each stretch of a task a bar in the task's
 * colour, waiting a thin pale line below. Self-contained, on a light ground, readable in print.
 */
#include "timeline.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_WIDTH  1000
#define PLOT_LEFT   92
#define PLOT_WIDTH  840
#define ROW_HEIGHT  26
#define BAR_HEIGHT  18
#define WAIT_HEIGHT 3
#define HEAD_HEIGHT 30
#define FOOT_HEIGHT 34
/* Half a pixel a cell: finer than that nobody sees. */
#define CELL_COUNT  ((size_t)(2 * PLOT_WIDTH))
/* So many bars, most of them thin, should stand in a row of the enlarged part … */
#define ZOOM_BARS   100
/* … and so many places are looked at to find it. */
#define ZOOM_TRIES  64

/* After Okabe and Ito, for the colour-blind too; black letters are legible on all. */
static const char *const colours[] = { "#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#9aa7e8",
	"#d55e00", "#f0e442", "#8c6bb1", "#a1795b", "#7f8c8d" };

#define COLOUR_COUNT (sizeof(colours) / sizeof(colours[0]))

/* A part of a timeline and where it stands on the page. */
struct panel {
	const struct timeline *timeline;
	const char *name;
	const char *heading;
	int64_t from_ns;
	int64_t to_ns;	/* of the full width */
	int64_t end_ns; /* of what is drawn: ≤ to_ns */
	double top;
};

static const char *colour_of(const struct timeline_span *span)
{
	return colours[span->task % COLOUR_COUNT];
}

/* Text as XML: file names may hold anything. */
static void put_text(FILE *svg, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '<')
			fputs("&lt;", svg);
		else if (c == '&')
			fputs("&amp;", svg);
		else if (c == '>')
			fputs("&gt;", svg);
		else
			fputc(c >= ' ' && c < 127 ? c : '?', svg);
	}
}

static double x_of(const struct panel *panel, int64_t ns)
{
	double share = (double)(ns - panel->from_ns) / (double)(panel->to_ns - panel->from_ns);

	return PLOT_LEFT + PLOT_WIDTH * share;
}

/* A bar's name inside it, as far as there is room: of a path the last part. */
static void put_label(
	FILE *svg, const struct timeline_span *span, double middle, double width, double y)
{
	const char *slash = strrchr(span->label, '/');
	const char *name = slash && slash[1] ? slash + 1 : span->label;
	size_t room = width > 8 ? (size_t)((width - 4) / 6.5) : 0;
	char text[64];

	if (room >= sizeof(text))
		room = sizeof(text) - 1;
	if (room == 0 || (strlen(name) > room && room < 6))
		return;
	snprintf(text, room + 1, "%s", name);
	fprintf(svg, "<text class='bar' x='%.2f' y='%.1f'>", middle, y + BAR_HEIGHT - 5);
	put_text(svg, text);
	fputs("</text>\n", svg);
}

static void put_bar(FILE *svg, const struct timeline_span *span, double left, double width,
	double y, bool named)
{
	fprintf(svg, "<rect x='%.2f' y='%.1f' width='%.2f' height='%d' fill='%s'>", left, y,
		width > 0.5 ? width : 0.5, BAR_HEIGHT, colour_of(span));
	if (span->label) {
		fputs("<title>", svg);
		put_text(svg, span->label);
		fprintf(svg, ": %.3f ms</title>", (double)(span->end_ns - span->start_ns) / 1e6);
	}
	fputs("</rect>\n", svg);
	if (named && span->label)
		put_label(svg, span, left + width / 2, width, y);
}

/* Bars one by one, as they are. For panels with few of them. */
static void put_spans(FILE *svg, const struct panel *panel, unsigned int lane, double y)
{
	size_t i, end = timeline_lane(panel->timeline, lane, &i);
	int waits = 0;

	for (; i < end; i++) {
		const struct timeline_span *span = &panel->timeline->spans[i];
		int64_t from_ns = span->start_ns > panel->from_ns ? span->start_ns : panel->from_ns;
		int64_t to_ns = span->end_ns < panel->end_ns ? span->end_ns : panel->end_ns;
		double left = x_of(panel, from_ns);

		if (to_ns < from_ns)
			continue;
		if (!span->waiting) {
			put_bar(svg, span, left, x_of(panel, to_ns) - left, y, true);
			continue;
		}
		fprintf(svg,
			"<rect x='%.2f' y='%.1f' width='%.2f' height='%d' fill='%s' "
			"fill-opacity='0.45'><title>%s waits</title></rect>\n",
			left, y + BAR_HEIGHT + 2 + (WAIT_HEIGHT + 2) * waits,
			x_of(panel, to_ns) - left, WAIT_HEIGHT, colour_of(span),
			span->label ? span->label : "");
		waits++;
	}
}

/* Bars of whole cells: as many as can be seen, however many tasks there were. */
static int put_cells(FILE *svg, const struct panel *panel, unsigned int lane, double y)
{
	const struct timeline_span **cells =
		malloc(CELL_COUNT * sizeof(const struct timeline_span *));
	double *cost = malloc(CELL_COUNT * sizeof(*cost));

	if (cells && cost) {
		timeline_cells(panel->timeline, lane, panel->from_ns, panel->to_ns, cells, cost,
			CELL_COUNT);
		for (size_t i = 0, next; i < CELL_COUNT; i = next) {
			next = i + 1;
			while (next < CELL_COUNT && cells[next] && cells[i] &&
				cells[next]->task == cells[i]->task)
				next++;
			if (cells[i])
				put_bar(svg, cells[i], PLOT_LEFT + (double)i / 2,
					(double)(next - i) / 2, y, false);
		}
	}
	free(cells);
	free(cost);
	return cells && cost ? 0 : -ENOMEM;
}

/* How many waits stand below the bars of a lane. */
static int count_waits(const struct timeline *timeline, unsigned int lane)
{
	size_t i, end = timeline_lane(timeline, lane, &i);
	int waits = 0;

	for (; i < end; i++)
		waits += timeline->spans[i].waiting;
	return waits;
}

static double lane_height(const struct timeline *timeline, unsigned int lane)
{
	return ROW_HEIGHT + (WAIT_HEIGHT + 2) * count_waits(timeline, lane);
}

static double panel_height(const struct timeline *timeline)
{
	double height = HEAD_HEIGHT + FOOT_HEIGHT;

	for (unsigned int lane = 0; lane < timeline->lane_count; lane++)
		height += lane_height(timeline, lane);
	return height;
}

static void put_axis(FILE *svg, const struct panel *panel, double top, double bottom)
{
	bool milliseconds = panel->to_ns < 1000000000;
	double unit = milliseconds ? 1e6 : 1e9;
	double from = (double)panel->from_ns / unit, to = (double)panel->to_ns / unit;
	double step = timeline_step(to - from, 11);
	int digits = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;

	fprintf(svg, "<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='#888'/>\n", PLOT_LEFT,
		bottom, PLOT_LEFT + PLOT_WIDTH, bottom);
	/* Counted in whole steps, so that no rounding adds up. */
	for (int64_t i = (int64_t)ceil(from / step - 1e-9); (double)i * step <= to * 1.000001;
		i++) {
		double at = (double)i * step;
		double x = PLOT_LEFT + PLOT_WIDTH * (at - from) / (to - from);

		fprintf(svg, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#ddd'/>\n", x,
			top, x, bottom + 4);
		fprintf(svg, "<text class='axis' x='%.1f' y='%.1f'>%.*f %s</text>\n", x,
			bottom + 17, digits, at, milliseconds ? "ms" : "s");
	}
}

static int put_panel(FILE *svg, const struct panel *panel, bool cells)
{
	const struct timeline *timeline = panel->timeline;
	double y = panel->top + HEAD_HEIGHT;
	double bottom = panel->top + panel_height(timeline) - FOOT_HEIGHT;

	fprintf(svg, "<text x='16' y='%.1f'><tspan font-weight='bold'>%s</tspan> — %s</text>\n",
		panel->top + 18, panel->name, panel->heading);
	put_axis(svg, panel, y - 4, bottom);
	for (unsigned int lane = 0; lane < timeline->lane_count; lane++) {
		double height = lane_height(timeline, lane);
		int status = 0;

		fprintf(svg, "<text class='lane' x='%d' y='%.1f'>%s %u</text>\n", PLOT_LEFT - 8,
			y + BAR_HEIGHT - 4.5, timeline->lane_name, lane);
		fprintf(svg, "<rect x='%d' y='%.1f' width='%.2f' height='%.1f' fill='#f1f1ee'/>\n",
			PLOT_LEFT, y, x_of(panel, panel->end_ns) - PLOT_LEFT, height - 8);
		if (cells)
			status = put_cells(svg, panel, lane, y);
		else
			put_spans(svg, panel, lane, y);
		if (status < 0)
			return status;
		y += height;
	}
	return 0;
}

/*
 * How well a window shows single tasks: how much of its emptiest row is covered by bars, where a
 * bar longer than a tenth of the window counts as no more than that.
 */
static int64_t window_score(const struct timeline *tree, int64_t from_ns, int64_t to_ns)
{
	int64_t score = INT64_MAX, enough_ns = (to_ns - from_ns) / 10;

	for (unsigned int lane = 0; lane < tree->lane_count; lane++) {
		size_t i, end = timeline_lane(tree, lane, &i);
		int64_t covered_ns = 0;

		for (; i < end && tree->spans[i].start_ns < to_ns; i++) {
			int64_t ns = tree->spans[i].end_ns - tree->spans[i].start_ns;

			if (tree->spans[i].end_ns > from_ns)
				covered_ns += ns < enough_ns ? ns : enough_ns;
		}
		score = covered_ns < score ? covered_ns : score;
	}
	return score;
}

/* A window of the tree's picture in which single tasks can be made out, and many of them. */
static struct panel zoom_panel(const struct timeline *tree)
{
	double spans_each = (double)tree->count / tree->lane_count;
	double share = spans_each > ZOOM_BARS ? ZOOM_BARS / spans_each : 1;
	int64_t width_ns = (int64_t)((double)tree->length_ns * share) + 1;
	int64_t best = 0;
	struct panel panel = {
		.timeline = tree,
		.name = "a closer look",
		.heading = "a moment of the same run: on each loop one task at a time",
	};

	for (int i = 0; i < ZOOM_TRIES; i++) {
		int64_t from_ns = (tree->length_ns - width_ns) / ZOOM_TRIES * i;
		int64_t score = window_score(tree, from_ns, from_ns + width_ns);

		if (i > 0 && score <= best)
			continue;
		best = score;
		panel.from_ns = from_ns;
	}
	panel.to_ns = panel.from_ns + width_ns;
	panel.end_ns = panel.to_ns;
	return panel;
}

static void put_head(FILE *svg, const struct timeline_page *page, double height)
{
	static const char *const names[] = { "A", "B", "C" };
	double x = PLOT_LEFT;

	fprintf(svg,
		"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %.0f' width='%d' "
		"height='%.0f' font-family='sans-serif' font-size='13' fill='#222'>\n",
		PAGE_WIDTH, height, PAGE_WIDTH, height);
	fputs("<style>.axis{font-size:11px;text-anchor:middle;fill:#555}"
	      ".lane{text-anchor:end;fill:#444;font-size:12px}"
	      ".bar{text-anchor:middle;font-size:11px;fill:#111}</style>\n",
		svg);
	fprintf(svg, "<rect width='%d' height='%.0f' fill='#ffffff'/>\n", PAGE_WIDTH, height);
	fputs("<text x='16' y='28' font-size='18' font-weight='bold'>Who ran when: loops over time"
	      "</text>\n",
		svg);
	fputs("<text x='16' y='48' fill='#555'>", svg);
	put_text(svg, page->subtitle);
	fputs("</text>\n", svg);
	for (int i = 0; i < 3; i++, x += 80) {
		fprintf(svg,
			"<rect x='%.0f' y='60' width='22' height='12' fill='%s'/>"
			"<text x='%.0f' y='71'>task %s</text>\n",
			x, colours[i], x + 28, names[i]);
	}
	fprintf(svg,
		"<rect x='%.0f' y='64' width='22' height='%d' fill='%s' fill-opacity='0.45'/>"
		"<text x='%.0f' y='71'>waiting</text>\n",
		x, WAIT_HEIGHT, colours[0], x + 28);
	x += 90;
	fprintf(svg,
		"<rect x='%.0f' y='60' width='22' height='12' fill='#f1f1ee' stroke='#ccc'/>"
		"<text x='%.0f' y='71'>no task runs: the loop is idle or in the "
		"kernel</text>\n",
		x, x + 28);
}

static int put_page(FILE *svg, const struct timeline_page *page)
{
	double top = 84, height = top + 8;
	int64_t longest_ns = 1;
	int status = 0;

	for (int i = 0; i < 3; i++) {
		if (page->tasks[i]) {
			height += panel_height(page->tasks[i]);
			if (page->tasks[i]->length_ns > longest_ns)
				longest_ns = page->tasks[i]->length_ns;
		}
	}
	if (page->tree)
		height += 2 * panel_height(page->tree);
	put_head(svg, page, height);
	for (int i = 0; i < 3 && status == 0; i++) {
		const struct timeline *timeline = page->tasks[i];

		if (!timeline)
			continue;
		status = put_panel(svg,
			&(struct panel){ .timeline = timeline,
				.name = timeline->name,
				.heading = timeline->heading,
				.to_ns = longest_ns,
				.end_ns = timeline->length_ns,
				.top = top },
			false);
		top += panel_height(timeline);
	}
	if (page->tree && status == 0) {
		struct panel panel = { .timeline = page->tree,
			.name = page->tree->name,
			.heading = page->tree->heading,
			.to_ns = page->tree->length_ns,
			.end_ns = page->tree->length_ns,
			.top = top };

		status = put_panel(svg, &panel, true);
		panel = zoom_panel(page->tree);
		panel.top = top + panel_height(page->tree);
		if (status == 0)
			status = put_panel(svg, &panel, false);
	}
	fputs("</svg>\n", svg);
	return status;
}

int timeline_save_svg(const struct timeline_page *page, const char *path)
{
	FILE *svg = fopen(path, "we");
	int status;

	if (!svg)
		return -errno;
	status = put_page(svg, page);
	if (ferror(svg) && status == 0)
		status = -EIO;
	if (fclose(svg) != 0 && status == 0)
		status = -errno;
	return status;
}
