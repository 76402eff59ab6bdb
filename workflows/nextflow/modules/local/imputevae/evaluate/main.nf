process IMPUTEVAE_EVALUATE {
    tag "$meta.id"
    label 'process_high'

    conda "${moduleDir}/../environment.yml"
    container "${params.container}"

    input:
    tuple val(meta), path(vcf), path(popmap), path(map)

    output:
    tuple val(meta), path("*_evaluation"), emit: evaluation
    path "versions.yml"                  , emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args   = task.ext.args ?: ''
    def prefix = task.ext.prefix ?: "${meta.id}"
    def more   = [popmap ? "--popmap ${popmap}" : '', map ? "--map ${map}" : ''].join(' ').trim()
    """
    imputevae evaluate $vcf -o ${prefix}_evaluation --threads $task.cpus $more $args

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        imputevae: \$(imputevae --version)
    END_VERSIONS
    """

    stub:
    def prefix = task.ext.prefix ?: "${meta.id}"
    """
    mkdir ${prefix}_evaluation
    touch ${prefix}_evaluation/report.json

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        imputevae: \$(imputevae --version)
    END_VERSIONS
    """
}
