package consumer

import (
	"context"
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
)

// shrunkFor is how long everyone holds because listings shrank; each flush that
// is refused, one every requestWindow, renews it.
const shrunkFor = 4 * requestWindow

// holdShrunk makes everyone wait until somebody has decided about listings that
// shrank. What was scanned stays in the stash, and a flush of it is tried again
// after a while.
func (c *Consumer) holdShrunk(ctx context.Context, shrunk *postgres.ShrunkError) {
	broken := held{board.HoldShrunk, shrunk.Error() + ": nothing is written. If that is right, go on with regmend run accept-shrink; " +
		"if the registry is at fault, mend it and throw away what was scanned with regmend run new --reason TEXT"}
	c.cfg.Metrics.held(broken.kind)
	if c.gate.set(broken) {
		c.log.WithField("reason", broken.reason).Warn("scanning is held")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardTimeout)
	defer cancel()
	notice := board.Hold{Kind: broken.kind, Reason: broken.reason, Since: time.Now(), By: c.cfg.Process}
	err := c.board.SetHold(ctx, notice, shrunkFor)
	if err == nil {
		_, err = c.stash.RequestFlush(ctx, requestWindow) // nobody else does meanwhile
	}
	if err != nil {
		c.log.WithError(err).Warn("the reason for holding could not be noted in Redis")
	}
}

// unholdShrunk ends the hold once a flush was not refused.
func (c *Consumer) unholdShrunk(ctx context.Context) {
	if !c.gate.heldFor(board.HoldShrunk) {
		return
	}
	if err := c.board.ClearHold(ctx, board.HoldShrunk); err != nil {
		c.log.WithError(err).Info("the hold is left to expire")
	}
}
