// What an unprivileged process of a container can do to whoever reads it: run by the lab only.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

// Makes this process's own environment and command line four GiB of nothing.
static int large(void) {
  unsigned long size = 4UL << 30, codes[2], stack, data[2], brk, args[2], env[2];
  char text[4096], *rest;
  int file = open("/proc/self/stat", O_RDONLY);
  long length = read(file, text, sizeof text - 1);
  if (length <= 0) return 1;
  text[length] = 0;
  rest = strrchr(text, ')');
  // Fields 3 to 52 of proc_pid_stat(5).
  unsigned long field[60] = {0};
  int number = 3;
  for (char *part = strtok(rest + 1, " "); part && number < 60; part = strtok(NULL, " "), number++) sscanf(part, "%lu", &field[number]);
  codes[0] = field[26], codes[1] = field[27], stack = field[28], data[0] = field[45], data[1] = field[46], brk = field[47];
  void *much = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (much == MAP_FAILED) return 2;
  args[0] = env[0] = (unsigned long)much, args[1] = env[1] = (unsigned long)much + size - 1;
  struct prctl_mm_map map = {
      .start_code = codes[0], .end_code = codes[1], .start_data = data[0], .end_data = data[1], .start_brk = brk, .brk = (unsigned long)sbrk(0),
      .start_stack = stack, .arg_start = args[0], .arg_end = args[1], .env_start = env[0], .env_end = env[1], .exe_fd = -1};
  if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0)) { perror("prctl"); return 3; }
  return 0;
}

// Mounts a file system that never answers.
static int silent(const char *folder) {
  char options[64];
  int device = open("/dev/fuse", O_RDWR);
  if (device < 0) { perror("/dev/fuse"); return 4; }
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
  mkdir(folder, 0755);
  if (mount("silent", folder, "fuse", 0, options)) { perror("mount"); return 5; }
  return 0;
}

int main(int count, char **words) {
  int failed = count > 2 ? silent(words[2]) : large();
  if (failed) return failed;
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}
