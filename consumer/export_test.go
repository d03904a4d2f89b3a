package consumer

// NewQueueLog is what asynq logs to.
var NewQueueLog = newQueueLog
