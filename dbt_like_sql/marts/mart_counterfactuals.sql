-- What editing an event's triggers did to it: every event, condition and wave, beside the verdict of its claim.
-- grain: study, wave, consensus_event_id, condition, part. wave: followup (seeds of the choice) or confirmation (fresh
-- seeds); part: 1 for all triggers, 2 for their best half, and so on. Where nothing was selected in the whole study a
-- wave has one row of status no_selection and nulls; a parent arm without a selection beside one that has it has no row
-- here, its claims are in mart_claims. verdict is the claim's CONDITION:PARENT, which rests on both waves and on all
-- triggers: the same in both rows, null for parts and where no claim of this analysis was made. Differences are
-- condition less control. Steps in optimiser steps, strength in envelopes. All figures made in Python.
with effects as (
    select
        study, 'followup' as wave, consensus_event_id, condition, part, control, status, n_seeds, num_unedited,
        num_control_runs, share_present, share_present_control, effect_rd, ci_lo, ci_hi, delay_difference, delay_ci_lo,
        delay_ci_hi, magnitude_difference, magnitude_ci_lo, magnitude_ci_hi, p_value, smallest_p, q_value, label, reason
    from counterfactual_effects
    union all
    select
        study, 'confirmation' as wave, consensus_event_id, condition, part, control, status, n_seeds, num_unedited,
        num_control_runs, share_present, share_present_control, effect_rd, ci_lo, ci_hi, delay_difference, delay_ci_lo,
        delay_ci_hi, magnitude_difference, magnitude_ci_lo, magnitude_ci_hi, p_value, smallest_p, q_value, label, reason
    from confirmed_effects
),
-- One choice per event, condition and part: the draws of a placebo share it.
choices as (
    select
        split_part(study, '/', 1) as study,
        consensus_event_id,
        condition,
        part,
        min(parent_arm) as arm,
        min(analysis_id) as analysis_id,
        min(event_signature) as event_signature,
        min(event_step) as event_step,
        min(edit_scope) as edit_scope,
        min(n_items) as n_items,
        min(family_id) as family_id
    from selection
    where status = 'selected'
    group by split_part(study, '/', 1), consensus_event_id, condition, part
)
select
    effects.study,
    effects.wave,
    choices.arm,
    effects.consensus_event_id,
    effects.condition,
    effects.part,
    effects.control,
    effects.status,
    choices.event_signature,
    choices.event_step,
    choices.edit_scope,
    choices.n_items,
    choices.family_id,
    effects.n_seeds,
    effects.num_unedited,
    effects.num_control_runs,
    effects.share_present,
    effects.share_present_control,
    effects.effect_rd,
    effects.ci_lo,
    effects.ci_hi,
    effects.delay_difference,
    effects.delay_ci_lo,
    effects.delay_ci_hi,
    effects.magnitude_difference,
    effects.magnitude_ci_lo,
    effects.magnitude_ci_hi,
    effects.p_value,
    effects.smallest_p,
    effects.q_value,
    effects.label,
    effects.reason,
    claims.claim,
    claims.verdict
from effects
left join choices
    on choices.study = effects.study
    and choices.consensus_event_id = effects.consensus_event_id
    and choices.condition = effects.condition
    and choices.part = effects.part
left join claims
    on claims.study = effects.study
    and claims.analysis_id = choices.analysis_id
    and claims.claim = concat(effects.condition, ':', choices.arm)
    and effects.part = 1
order by
    effects.study,
    choices.arm nulls last,
    effects.consensus_event_id nulls last,
    effects.condition,
    effects.part,
    case effects.wave when 'followup' then 0 else 1 end
