//! The task of a job, whose span is the parent of what the app traces (spec: serverless-init 7).
//!
//! The task's span is made at its end, but its id is known from the start. The first trace that comes in becomes the task's: its roots get that id
//! for a parent. Other traces keep their own ids.

use super::Pipeline;
use crate::trace::chunk::Work;

/// The task, as far as spans have to do with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    /// The id of the task's span.
    span_id: u64,
    /// The trace that it takes part in, once there is one.
    trace_id: Option<u128>,
}

impl Task {
    /// Has the chunk's roots be children of the task, where it is of the task's trace.
    pub(super) fn adopt(&mut self, work: &mut Work) {
        if work.spans.is_empty() {
            return;
        }
        let own = *self.trace_id.get_or_insert(work.facts.trace_id);
        // Only the first chunk of a trace need have the upper half of the id.
        if own << 64 == work.facts.trace_id << 64 {
            for span in &mut work.spans {
                if span.parent_id == 0 {
                    span.parent_id = self.span_id;
                }
            }
        }
    }
}

impl Pipeline {
    /// Has the first trace be that of a task whose span will have this id.
    pub fn begin_task(&mut self, span_id: u64) {
        self.task = Some(Task { span_id, trace_id: None });
    }

    /// Ends that: what comes later stays as it is. The trace that the task took part in, where one came.
    pub fn end_task(&mut self) -> Option<u128> {
        self.task.take()?.trace_id
    }
}
