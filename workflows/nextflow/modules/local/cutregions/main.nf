process CUTREGIONS {
    tag "$meta.id"
    label 'process_single'

    conda "${moduleDir}/environment.yml"

    input:
    tuple val(meta), path(vcf)
    path script
    val records

    output:
    tuple val(meta), path("regions/*.txt", arity: '1..*'), emit: regions
    tuple val("${task.process}"), val('bcftools'), eval("bcftools --version | sed '1!d; s/bcftools //'"), topic: versions, emit: versions_bcftools

    when:
    task.ext.when == null || task.ext.when

    script:
    """
    bash $script $vcf $records regions
    """

    stub:
    """
    mkdir regions
    echo "chr1:1-" > regions/00001.txt
    """
}
