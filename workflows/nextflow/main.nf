#!/usr/bin/env nextflow
// Impute a cohort in shards: train once, impute each shard of its regions, put the shards together, evaluate. A reference
// panel is packed in place of the training, and the shards are filled from it

include { CUTREGIONS         } from './modules/local/cutregions/main'
include { IMPUTEVAE_TRAIN    } from './modules/nf-core/imputevae/train/main'
include { IMPUTEVAE_IMPUTE   } from './modules/nf-core/imputevae/impute/main'
include { IMPUTEVAE_EVALUATE } from './modules/nf-core/imputevae/evaluate/main'
include { CONCAT             } from './modules/local/concat/main'

workflow {
    if (!params.cohort) {
        error("give the cohort with --cohort FILE.vcf.gz")
    }
    def vcf    = file(params.cohort, checkIfExists: true)
    def popmap = params.popmap ? file(params.popmap, checkIfExists: true) : []
    def map    = params.map ? file(params.map, checkIfExists: true) : []
    def panel  = params.panel ? file(params.panel, checkIfExists: true) : null
    ch_cohort  = Channel.of([[id: vcf.simpleName], vcf, popmap, map])

    CUTREGIONS(
        ch_cohort.map { meta, file, _popmap, _map -> [meta, file] },
        file("${projectDir}/../cut_regions.sh", checkIfExists: true),
        params.records_per_shard
    )
    IMPUTEVAE_TRAIN(panel ? ch_cohort.map { meta, _file, _popmap, _map -> [meta, panel, [], []] } : ch_cohort)
    // Without a panel a model of its own is fitted, which does not see the calls that are hidden
    IMPUTEVAE_EVALUATE(panel ? ch_cohort.join(IMPUTEVAE_TRAIN.out.model) : ch_cohort.map { cohort -> cohort + [[]] })

    // One item a shard; the name of its list of regions, a number of five digits, keeps the order of the file
    ch_shards = CUTREGIONS.out.regions
        .transpose()
        .map { meta, regions -> [meta.id, meta + [id: "${meta.id}.${regions.baseName}", cohort: meta.id], regions] }
        .combine(ch_cohort.map { meta, file, popmap_, map_ -> [meta.id, file, popmap_, map_] }, by: 0)
        .combine(IMPUTEVAE_TRAIN.out.model.map { meta, model -> [meta.id, model] }, by: 0)
        .map { _id, meta, regions, file, popmap_, map_, model -> [meta, file, popmap_, map_, model, regions] }
    IMPUTEVAE_IMPUTE(ch_shards)

    ch_parts = IMPUTEVAE_IMPUTE.out.vcf
        .map { meta, shard -> [[id: meta.cohort], shard] }
        .groupTuple()
        .map { meta, shards -> [meta, shards.sort { a, b -> a.name <=> b.name }] }
    CONCAT(ch_parts)
}
