# Completion of transduce in fish.
function __transduce_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l given (string join \x1f -- $words[2..-1])\x1f
    for line in (env _TRANSDUCE_COMPLETE=fish _TRANSDUCE_WORDS=$given $words[1] 2>/dev/null)
        set -l parts (string split \t -- $line)
        switch $parts[1]
            case file
                __fish_complete_path (commandline -ct)
            case folder
                __fish_complete_directories (commandline -ct)
            case path
                printf '%s/\n' $parts[2]
            case '*'
                printf '%s\t%s\n' $parts[2] "$parts[3]"
        end
    end
end
complete --command transduce --no-files --arguments '(__transduce_complete)'
