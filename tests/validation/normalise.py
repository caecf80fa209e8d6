#!/usr/bin/env python3
"""Measured runs as a table of scenarios: prose in, fields out.

normalise.py RAW.csv prints the table (columns: sim/simulate/scenario_table.h) of any file with the
columns of training_runs.csv, training_runs_one_node.csv, memory_runs.csv or memory_published.csv
beside this script, in the order of its rows:

  chip, chips, chips_per_node, interconnect     cluster, by interconnects.csv (run_cluster.py)
  layers, hidden, ffn, heads, kv_heads, head_dim, vocab, gated, attn, experts, topk, moe_ffn,
  shared_experts, dense_layers                  model; no ffn: 4 hidden; no layers, and model names a
                                                file of strategies/models: that model
  seq, gbs                                      workload
  tp, pp, vp, cp, ep, dp, mbs, dp_sharding      degrees; devices / (tp pp cp) if dp is not given;
                                                FSDP over the group that dp_sharding names
  seq_parallel, recompute, overlap, precision   the plan's fields of those names (run_plan.py)
  iter_time_s, tokens_per_s_per_chip, tflops_per_chip, mfu_pct
                                                measured: the first that is given

families.csv says which framework a family of rows ran, what its models have (norms, biases, ...)
and what its source states for all of its rows. A row sets what it or its family states; all else is
its framework's (strategies/frameworks). Nothing is looked up by a row's id. A row that cannot be
expressed has a `reason`.
"""

import csv
import os
import sys

import memory_rows
import run_cluster
import run_plan
from run_row import NotExpressed, RunRow, number_in, read_table

HERE = os.path.dirname(os.path.abspath(__file__))

# What a family's FLOP/s count, by the names of the report's counts.
CONVENTIONS = {'causal': 'model', 'full': 'model_full_attention', 'hardware': 'hardware'}

LAST = ('measured.step_time_s', 'measured.tokens_per_s_per_chip', 'measured.tflops_per_chip',
        'measured.mfu', 'measured.flops', 'measured.peak_bytes', 'measured.last_stage_peak_bytes',
        'measured.activations_bytes', 'measured.state_bytes', 'measured.memory', 'first_error',
        'source', 'family', 'trust', 'notes', 'reason')


def set_latent_attention(text, fields):
    """"MLA q_lora1536 kv_lora512 nope128 rope64 v128"."""
    rank = number_in(text, ' q_lora([0-9]+)')
    if rank > 0:
        fields['model.mla.q_lora_rank'] = rank
    fields['model.mla.kv_lora_rank'] = number_in(text, 'kv_lora([0-9]+)')
    fields['model.mla.qk_nope_head_dim'] = number_in(text, 'nope([0-9]+)')
    fields['model.mla.qk_rope_head_dim'] = number_in(text, 'rope([0-9]+)')
    fields['model.mla.v_head_dim'] = number_in(text, ' v([0-9]+)')


def set_experts(row, fields):
    fields['model.moe.experts'] = row.count('experts')
    for field, column in (('experts_per_token', 'topk'), ('expert_ffn', 'moe_ffn'),
                          ('shared_experts', 'shared_experts')):
        if row.count(column) > 0:
            fields['model.moe.' + field] = row.count(column)
    # `dense_layers` counts them; half of all stand between the others (Llama 4:
    # interleave_moe_layer_step 2), fewer stand first.
    dense = row.count('dense_layers')
    if 2 * dense == row.count('layers'):
        fields['model.moe.layer_period'] = 2
    elif dense > 0:
        fields['model.moe.dense_layers'] = dense


def set_attention(row, fields):
    attention = row.get('attn')
    if 'kv_lora' in attention:
        set_latent_attention(attention, fields)
    elif attention.startswith('MLA'):
        raise NotExpressed('the sizes of its latent attention are not given')
    window = number_in(attention, 'sliding-window ([0-9]+)')
    if window > 0:
        fields['model.sliding_window'] = window
        local = number_in(attention, '([0-9]+):1 sliding')
        fields['model.global_layer_period'] = local + 1 if local > 0 else 2
    # arXiv 2505.09388 section 2: Qwen3 norms queries and keys; arXiv 2503.19786 section 2: so does
    # Gemma 3, which also norms what attention and MLP add.
    gemma3 = row.says('model', 'gemma3')
    if gemma3 or row.says('model', 'qwen3'):
        fields['model.qk_norm'] = True
    if gemma3:
        fields['model.norms_per_layer'] = 4


def set_preset(row, fields):
    fields['model.preset'] = row.get('model')
    if row.count('mtp_layers') > 0:
        fields['model.mtp_layers'] = row.count('mtp_layers')


def set_model(row, fields):
    if row.has_preset():
        set_preset(row, fields)
        return
    for needed in ('layers', 'hidden', 'heads', 'vocab', 'seq'):
        if row.count(needed) == 0:
            raise NotExpressed(needed + ' is not given')
    dense = row.count('experts') <= 1
    fields['model.name'] = row.get('model') or row.family
    for field in ('layers', 'hidden', 'heads', 'vocab'):
        fields['model.' + field] = row.count(field)
    fields['model.kv_heads'] = row.count('kv_heads', row.count('heads'))
    if row.count('head_dim') > 0:
        fields['model.head_dim'] = row.count('head_dim')
    fields['model.gated_mlp'] = row.flag('gated')
    if dense or row.count('ffn') > 0:
        fields['model.ffn'] = row.count('ffn', 4 * row.count('hidden'))
    if not dense:
        set_experts(row, fields)
    if row.count('mtp_layers') > 0:
        fields['model.mtp_layers'] = row.count('mtp_layers')
    set_attention(row, fields)
    fields['model.norm_bias'] = row.says('norms', 'layer')
    fields['model.tied_embeddings'] = row.get('embeddings') == 'tied'
    if not row.says('positions', 'rotary'):
        fields['model.position_embeddings'] = row.count('seq')
    if row.flag('biases'):
        for field in ('qkv_bias', 'attention_output_bias', 'mlp_bias'):
            fields['model.' + field] = True


def scenario_of(row):
    """Field paths and values of a row. NotExpressed: why it has none."""
    if 'lora' in row.family:
        raise NotExpressed('low-rank adapters are not simulated')
    row.check_numbers()
    fields = {}
    run_cluster.set_cluster(row, fields)
    set_model(row, fields)
    fields['workload.sequence_length'] = row.count('seq')
    if row.count('gbs') == 0:
        raise NotExpressed('gbs is not given')
    fields['workload.global_batch_sequences'] = row.count('gbs')
    # An evaluation is inside the measured time.
    if row.number('evaluation') > 0:
        fields['workload.evaluation_sequences'] = round(row.number('evaluation') * row.count('gbs'))
    devices = row.count('chips') * (2 if row.says('chip', 'TPU7x') else 1)
    run_plan.set_plan(row, devices, fields)
    run_cluster.shape_slice(fields)
    for option in row.get('options').split():
        path, value = option.split('=')
        if path.startswith(('plan.', 'cluster.')):
            fields.setdefault(path, value)
    return fields


def measured(row):
    """What a row measured: the first of its kinds that it gives."""
    for column, field, scale in (('iter_time_s', 'measured.step_time_s', 1),
                                 ('tokens_per_s_per_chip', 'measured.tokens_per_s_per_chip', 1),
                                 ('tflops_per_chip', 'measured.tflops_per_chip', 1),
                                 ('mfu_pct', 'measured.mfu', 0.01)):
        value = row.number(column)
        if value <= 0:
            continue
        out = {field: value * scale}
        if column in ('tflops_per_chip', 'mfu_pct'):
            out['measured.flops'] = CONVENTIONS.get(row.get('flops_convention'), '')
        return out
    return {}


def free_text(row):
    out = {'family': row.family, 'trust': row.get('trust'), 'first_error': row.get('first_error'),
           'notes': row.get('caveats')}
    named = [row.get(column) for column in ('source', 'source_ref') if row.get(column)]
    out['source'] = '; '.join(named) or row.default('source').split(';')[0]
    return out


def record(row):
    out = {'name': row.get('id'), **free_text(row), **measured(row)}
    for column, field in memory_rows.MEASURED.items():
        if row.get(column):
            out[field] = row.get(column)
    try:
        out.update(scenario_of(row))
    except NotExpressed as problem:
        out['reason'] = str(problem)
    return out


def text_of(value):
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, list):
        return ';'.join(value)
    if isinstance(value, float):
        return '%.12g' % value
    return str(value)


def columns_of(records):
    """name, then the fields in the order of the message, then what was measured and said."""
    order = ['name', 'model.', 'cluster.', 'workload.', 'plan.framework', 'plan.']
    seen = {column: None for one in records for column in one if one[column] not in ('', None)}

    def place(column):
        if column in LAST:
            return len(order) + LAST.index(column)
        return next(i for i, prefix in enumerate(order) if column.startswith(prefix))
    return sorted(seen, key=place)  # stable: as first seen


def rows_of(path):
    table = read_table(path)
    return [RunRow(one) for one in memory_rows.as_runs(table)]


def main(argv):
    if len(argv) != 2:
        print('usage: normalise.py RAW.csv', file=sys.stderr)
        return 2
    records = [record(row) for row in rows_of(argv[1])]
    columns = columns_of(records)
    writer = csv.writer(sys.stdout, lineterminator='\n')
    writer.writerow(columns)
    for one in records:
        writer.writerow([text_of(one.get(column, '')) for column in columns])
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
