-- One row per training run: how long it was, what it saw and how its loss went.
-- grain: study, arm, seed. Losses in nats per supervised token; NaN where that is why the run stopped.
select
    study,
    arm,
    seed,
    run_id,
    total_steps,
    num_updates,
    num_captures,
    num_train_items,
    num_truncated,
    first_loss,
    best_loss,
    final_loss,
    final_loss_smooth,
    stopped_early,
    stop_reason
from run_manifest
order by study, arm, seed
