-- How often each run drew each item it drew at all, and when first and last.
-- grain: study, arm, seed, item_id. Draws are places in optimiser steps' batches; steps in optimiser steps.
select
    study,
    arm,
    seed,
    run_id,
    item_id,
    min(content_sha256) as content_sha256,
    min(family_id) as family_id,
    bool_or(planted) as planted,
    count(*) as num_draws,
    min(step) as first_step,
    max(step) as last_step
from sample_trace
group by study, arm, seed, run_id, item_id
order by study, arm, seed, item_id
