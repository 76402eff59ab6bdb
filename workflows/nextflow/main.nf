#!/usr/bin/env nextflow
// Impute a cohort by region: train once, impute each region, put the regions together, evaluate

include { CUTREGIONS         } from './modules/local/cutregions/main'
include { IMPUTEVAE_TRAIN    } from './modules/local/imputevae/train/main'
include { IMPUTEVAE_IMPUTE   } from './modules/local/imputevae/impute/main'
include { IMPUTEVAE_EVALUATE } from './modules/local/imputevae/evaluate/main'
include { CONCAT             } from './modules/local/concat/main'

workflow {
    if (!params.cohort) {
        error("give the cohort with --cohort FILE.vcf.gz")
    }
    def vcf    = file(params.cohort, checkIfExists: true)
    def popmap = params.popmap ? file(params.popmap, checkIfExists: true) : []
    def map    = params.map ? file(params.map, checkIfExists: true) : []
    ch_cohort  = Channel.of([[id: vcf.simpleName], vcf, popmap, map])

    CUTREGIONS(
        ch_cohort.map { meta, file, _popmap, _map -> [meta, file] },
        file("${projectDir}/../cut_regions.sh", checkIfExists: true),
        params.records_per_region
    )
    IMPUTEVAE_TRAIN(ch_cohort)
    IMPUTEVAE_EVALUATE(ch_cohort)

    // One item a region; its number, in five digits, keeps the order of the file
    ch_shards = CUTREGIONS.out.regions
        .flatMap { meta, regions ->
            regions.readLines().withIndex().collect { region, i ->
                [meta.id, meta + [id: "${meta.id}.${String.format('%05d', i)}", cohort: meta.id, region: region]]
            }
        }
        .combine(ch_cohort.map { meta, file, popmap_, map_ -> [meta.id, file, popmap_, map_] }, by: 0)
        .combine(IMPUTEVAE_TRAIN.out.model.map { meta, model -> [meta.id, model] }, by: 0)
        .map { _id, meta, file, popmap_, map_, model -> [meta, file, popmap_, map_, model] }
    IMPUTEVAE_IMPUTE(ch_shards)

    ch_parts = IMPUTEVAE_IMPUTE.out.vcf
        .map { meta, shard -> [[id: meta.cohort], shard] }
        .groupTuple()
        .map { meta, shards -> [meta, shards.sort { a, b -> a.name <=> b.name }] }
    CONCAT(ch_parts)
}
