process IMPUTEVAE_TRAIN {
    tag "$meta.id"
    label 'process_high'

    conda "${moduleDir}/../environment.yml"
    container "${params.container}"

    input:
    tuple val(meta), path(vcf), path(popmap), path(map)

    output:
    tuple val(meta), path("*.ivae"), emit: model
    path "versions.yml"            , emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args   = task.ext.args ?: ''
    def prefix = task.ext.prefix ?: "${meta.id}"
    def more   = [popmap ? "--popmap ${popmap}" : '', map ? "--map ${map}" : ''].join(' ').trim()
    """
    imputevae train $vcf -o ${prefix}.ivae --threads $task.cpus $more $args

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        imputevae: \$(imputevae --version)
    END_VERSIONS
    """

    stub:
    def prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${prefix}.ivae

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        imputevae: \$(imputevae --version)
    END_VERSIONS
    """
}
