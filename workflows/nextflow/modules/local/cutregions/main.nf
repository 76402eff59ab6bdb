process CUTREGIONS {
    tag "$meta.id"
    label 'process_single'

    conda "${moduleDir}/../imputevae/environment.yml"
    container "${params.container}"

    input:
    tuple val(meta), path(vcf)
    path script
    val records

    output:
    tuple val(meta), path("*.regions.txt"), emit: regions
    path "versions.yml"                   , emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def prefix = task.ext.prefix ?: "${meta.id}"
    """
    bash $script $vcf $records > ${prefix}.regions.txt

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bcftools: \$(bcftools --version | sed '1!d; s/bcftools //')
    END_VERSIONS
    """

    stub:
    def prefix = task.ext.prefix ?: "${meta.id}"
    """
    echo "chr1:1-" > ${prefix}.regions.txt

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        bcftools: \$(bcftools --version | sed '1!d; s/bcftools //')
    END_VERSIONS
    """
}
