process IMPUTEVAE_EVALUATE {
    tag "$meta.id"
    label 'process_high'

    conda "${moduleDir}/environment.yml"
    container "${ workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container ?
        'https://depot.galaxyproject.org/singularity/imputevae:0.2.0--pyhdfd78af_0':
        'quay.io/biocontainers/imputevae:0.2.0--pyhdfd78af_0' }"

    input:
    tuple val(meta), path(vcf), path(popmap), path(map), path(model)

    output:
    tuple val(meta), path("*_evaluation"), emit: evaluation
    tuple val("${task.process}"), val('imputevae'), eval("imputevae --version"), topic: versions, emit: versions_imputevae

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def prefix = task.ext.prefix ?: "${meta.id}"
    def popmap_arg = popmap ? "--popmap ${popmap}" : ''
    def map_arg = map ? "--map ${map}" : ''
    def model_arg = model ? "--model ${model}" : ''
    """
    imputevae \\
        evaluate \\
        $vcf \\
        --output ${prefix}_evaluation \\
        --threads $task.cpus \\
        $model_arg \\
        $popmap_arg \\
        $map_arg \\
        $args
    """

    stub:
    def args = task.ext.args ?: ''
    def prefix = task.ext.prefix ?: "${meta.id}"
    """
    echo $args
    mkdir ${prefix}_evaluation
    touch ${prefix}_evaluation/report.json
    """
}
