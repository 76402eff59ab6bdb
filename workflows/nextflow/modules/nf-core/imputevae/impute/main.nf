process IMPUTEVAE_IMPUTE {
    tag "$meta.id"
    label 'process_medium'

    conda "${moduleDir}/environment.yml"
    container "${ workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container ?
        'https://depot.galaxyproject.org/singularity/imputevae:0.2.0--pyhdfd78af_0':
        'quay.io/biocontainers/imputevae:0.2.0--pyhdfd78af_0' }"

    input:
    tuple val(meta), path(vcf), path(popmap), path(map), path(model), path(regions)

    output:
    tuple val(meta), path("*.imputed.vcf.gz")    , emit: vcf
    tuple val(meta), path("*.imputed.vcf.gz.tbi"), emit: tbi, optional: true
    tuple val("${task.process}"), val('imputevae'), eval("imputevae --version"), topic: versions, emit: versions_imputevae

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def prefix = task.ext.prefix ?: "${meta.id}"
    def popmap_arg = popmap ? "--popmap ${popmap}" : ''
    def map_arg = map ? "--map ${map}" : ''
    def model_arg = model ? "--model ${model}" : ''
    def regions_arg = regions ? "--regions-file ${regions}" : ''
    """
    imputevae \\
        impute \\
        $vcf \\
        --output ${prefix}.imputed.vcf.gz \\
        --threads $task.cpus \\
        $model_arg \\
        $regions_arg \\
        $popmap_arg \\
        $map_arg \\
        $args
    """

    stub:
    def args = task.ext.args ?: ''
    def prefix = task.ext.prefix ?: "${meta.id}"
    """
    echo $args
    echo "" | gzip > ${prefix}.imputed.vcf.gz
    touch ${prefix}.imputed.vcf.gz.tbi
    """
}
