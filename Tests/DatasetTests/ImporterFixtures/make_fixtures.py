"""Writes the fixtures of the importers: invented clips in the shapes of the public data sets.

Run it here with any Python 3; it needs no packages.
"""

from pathlib import Path


def text(path, content, end="\n"):
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_bytes(content.strip("\n").replace("\n", end).encode() + end.encode())


def labels(path, rows):
    """A matrix of booleans as numpy.save writes it."""
    header = "{'descr': '|b1', 'fortran_order': False, 'shape': (%d, %d), }" % (
        len(rows), len(rows[0]))
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    magic = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    Path(path).write_bytes(magic + header.encode() + bytes(b for row in rows for b in row))


text("csv/tags.csv", """
clip_id,path,split,work,tags
c1,piano/a.flac,train,"Sonata, first",piano|slow
c2,piano/b.flac,train,,piano
c3,choir/c.flac,train,,choir|slow
c4,piano/d.flac,validation,,piano
c5,choir/e.flac,validation,,
c6,choir/f.flac,test,,choir|rare
""")

# Clips b and d of train are one file under two names.
text("msd/tags.py", """TAGS = ['rock', 'jazz',
        "drum'n'bass", 'Mellow']""")
for part, clips in {
    "train": "a 1/1/110.npy 1000,b 2/2/220.npy 0100,c 3/3/330.npy 1010,d 2/2/220.npy 0001",
    "valid": "e 5/5/550.npy 0101,f 6/6/660.npy 1000",
    "test": "g 7/7/770.npy 0010,h 8/8/880.npy 1000,i 9/9/990.npy 0100",
}.items():
    rows = [clip.split() for clip in clips.split(",")]
    text(f"msd/{part}_x_msd_id.txt", "\n".join("TR" + row[0].upper() * 4 for row in rows))
    text(f"msd/{part}_x_filename.txt", "\n".join(row[1] for row in rows))
    labels(f"msd/{part}_y.npy", [[int(flag) for flag in row[2]] for row in rows])

text("msd-lists/output_labels_msd.txt", "# Output labels\nMSD_LABELS = ['rock','jazz']")
text("msd-lists/index_msd.tsv", "\n".join(
    f"TR{letter * 4}\tA/A/{letter}/TR{letter * 4}.mp3" for letter in "ABCD"))
text("msd-lists/train_gt_msd.tsv", "TRAAAA\t[1, 0]\nTRBBBB\t[1, 1]")
text("msd-lists/val_gt_msd.tsv", "TRCCCC\t[0, 1]")
text("msd-lists/test_gt_msd.tsv", "TRDDDD\t[1, 0]")

# Clip 35644 is one of the three that the published data set has without sound.
tags = ["no voice", "guitar", "slow", "harp", "never"]
clips = [
    (2, "0110", "0/ann-first-01-air-0-29"), (6, "0100", "0/ann-first-01-air-29-58"),
    (9, "1100", "a/bob-second-04-jig-117-146"), (35644, "1000", "6/cat-third-02-reel-0-29"),
    (11, "0000", "b/dan-fourth-05-aria-59-88"), (14, "0110", "c/eve-fifth-01-waltz-0-29"),
    (20, "1000", "d/fay-sixth-09-rag-30-59"), (21, "0101", "f/gus-seventh-03-blues-0-29"),
]
text("magnatagatune/annotations_final.csv", "\n".join(
    "\t".join(f'"{field}"' for field in row) for row in
    [["clip_id"] + tags + ["mp3_path"]]
    + [[number, *flags, "0", path + ".mp3"] for number, flags, path in clips]))
text("magnatagatune-lists/output_labels_mtt.txt",
     "# Output labels\nMTT_LABELS = ['no voice', 'guitar', 'slow', 'harp']")
text("magnatagatune-lists/index_mtt.tsv",
     "\n".join(f"{number}\t{path}.mp3" for number, _, path in clips))
for part, folders in {"train": "0ab", "val": "c", "test": "df"}.items():
    text(f"magnatagatune-lists/{part}_gt_mtt.tsv", "\n".join(
        f"{number}\t{[float(flag) for flag in flags]}"
        for number, flags, path in clips if path[0] in folders))

for part, rows in {
    "train": "1 5 mood/theme---calm mood/theme---film,2 5 mood/theme---happy,"
             "3 6 mood/theme---calm mood/theme---happy mood/theme---film",
    "validation": "4 7 mood/theme---calm",
    "test": "5 8 mood/theme---film mood/theme---happy,6 8 mood/theme---calm",
}.items():
    lines = ["TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"]
    for number, artist, *moods in (row.split() for row in rows.split(",")):
        lines.append("\t".join(
            [f"track_{number:>07}", f"artist_{artist:>06}", "album_000001",
             f"{number:>02}/90{number}.mp3", "187.4"] + moods))
    text(f"mtg-jamendo/autotagging_moodtheme-{part}.tsv", "\n".join(lines), end="\r\n")

text("fma/genres.csv", """
genre_id,#tracks,parent,title,top_level
10,3,0,Pop,10
12,5,0,Rock,12
25,2,12,Punk,12
76,1,10,"Old-Time, Historic",10
99,0,0,Unused,99
""")
text("fma/tracks.csv", """
,album,artist,set,set,track,track,track,track
,information,id,split,subset,genre_top,genres,genres_all,title
track_id,,,,,,,,
2,"<p>Two lines,
one ""quoted""</p>",1,training,small,Rock,[25],"[25, 12]",Food
3,,1,training,medium,Rock,[12],[12],Electric Ave
5,,2,training,large,,"[76, 25]","[25, 10, 12, 76]",This World
134,,3,validation,small,Pop,"[10, 76]","[10, 76]",Street Music
1040,,4,test,small,Rock,[12],[12],Freeway
135000,,5,test,large,,[],[],Silence
""")

for part, clips in {
    "train": "blues/blues.00000 blues/blues.00007 jazz/jazz.00003",
    "valid": "blues/blues.00011 jazz/jazz.00020",
    "test": "blues/blues.00042 jazz/jazz.00054",
}.items():
    text(f"gtzan/{part}_filtered.txt", "\n".join(clip + ".wav" for clip in clips.split()))
