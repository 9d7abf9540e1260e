TAGS = ['rock', 'jazz',
        "drum'n'bass", 'Mellow']
