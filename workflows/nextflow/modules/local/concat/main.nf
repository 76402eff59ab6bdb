process CONCAT {
    tag "$meta.id"
    label 'process_low'

    conda "${moduleDir}/environment.yml"

    input:
    tuple val(meta), path(shards)

    output:
    tuple val(meta), path("*.imputed.vcf.gz")    , emit: vcf
    tuple val(meta), path("*.imputed.vcf.gz.csi"), emit: csi
    tuple val("${task.process}"), val('bcftools'), eval("bcftools --version | sed '1!d; s/bcftools //'"), topic: versions, emit: versions_bcftools

    when:
    task.ext.when == null || task.ext.when

    script:
    def args   = task.ext.args ?: ''
    def prefix = task.ext.prefix ?: "${meta.id}"
    """
    bcftools concat --threads $task.cpus $args -Oz -o ${prefix}.imputed.vcf.gz $shards
    bcftools index --threads $task.cpus ${prefix}.imputed.vcf.gz
    """

    stub:
    def prefix = task.ext.prefix ?: "${meta.id}"
    """
    echo "" | gzip > ${prefix}.imputed.vcf.gz
    touch ${prefix}.imputed.vcf.gz.csi
    """
}
