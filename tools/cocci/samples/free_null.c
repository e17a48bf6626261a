void drop(char *p)
{
    if (p != NULL)
        lv_free(p);
}
