process IMPUTEVAE_IMPUTE {
    tag "$meta.id"
    label 'process_medium'

    conda "${moduleDir}/../environment.yml"
    container "${params.container}"

    input:
    tuple val(meta), path(vcf), path(popmap), path(map), path(model)

    output:
    tuple val(meta), path("*.imputed.vcf.gz")    , emit: vcf
    tuple val(meta), path("*.imputed.vcf.gz.tbi"), emit: tbi, optional: true
    path "versions.yml"                          , emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args   = task.ext.args ?: ''
    def prefix = task.ext.prefix ?: "${meta.id}"
    def region = meta.region ? "--region '${meta.region}'" : ''
    def given  = model ? "--model ${model}" : ''
    def more   = [popmap ? "--popmap ${popmap}" : '', map ? "--map ${map}" : ''].join(' ').trim()
    """
    imputevae impute $vcf $given $region -o ${prefix}.imputed.vcf.gz --threads $task.cpus $more $args

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        imputevae: \$(imputevae --version)
    END_VERSIONS
    """

    stub:
    def prefix = task.ext.prefix ?: "${meta.id}"
    """
    echo "" | gzip > ${prefix}.imputed.vcf.gz
    touch ${prefix}.imputed.vcf.gz.tbi

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        imputevae: \$(imputevae --version)
    END_VERSIONS
    """
}
