/*
 * scrollback.h - lines that left the top of the screen, packed into the ring of a console block. The newest stay; as
 * many as fit. Plain text costs its UTF-8 bytes and four, a change of attributes 3 to 7 more. Also built hosted.
 */
#pragma once
#include "kernel/drivers/video/console_block.h"

/*
 * The most that one line takes: bounds what scrolling dirties. Attributes of a line that would need more are dropped.
 */
#define SCROLLBACK_LINE_MAX(cols) (4u * (cols) + 16u)

void scrollback_push(struct console_block *b, const struct console_cell *cells, unsigned ncells);
void scrollback_clear(struct console_block *b);
unsigned scrollback_lines(const struct console_block *b);
/*
 * Line `back` before the newest (0: the newest) into cells, blank to ncells. width(code) is 1 or 2. False when there is
 * no such line.
 */
bool scrollback_read(struct console_block *b, unsigned back, struct console_cell *cells, unsigned ncells,
                     int (*width)(uint32_t code));
/* The ring's fields are within bounds afterwards, whatever was in the block; contents may be gone. */
void scrollback_check(struct console_block *b);
